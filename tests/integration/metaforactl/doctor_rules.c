/* The rules of metaforactl doctor, on what servers may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "doctor.h"

#define GOOD_REDIS                                                                         \
    "# Server\r\nredis_version:7.2.4\r\naof_enabled:1\r\naof_last_write_status:ok\r\n"     \
    "rdb_last_bgsave_status:ok\r\nmaxmemory:0\r\nused_memory:1048576\r\nmaxmemory_policy:" \
    "noeviction\r\nevicted_keys:0\r\nrole:master\r\nconnected_slaves:0\r\n"                \
    "latest_fork_usec:200\r\nrejected_connections:0\r\n"
#define GOOD_ETCD \
    "version:3.5.28\nleader:8e9e05c52164694d\nlearner:0\ndb_size:1\ndb_size_in_use:1\n"

/* The worst of what is found, and its check. */
static finding_level worst(const findings *found, const char **check)
{
    finding_level level = FINDING_GOOD;

    for (size_t i = 0; i < found->count; i++) {
        assert_true((found->all[i].advice == NULL) == (found->all[i].level == FINDING_GOOD));
        if (found->all[i].level > level) {
            level = found->all[i].level;
            *check = found->all[i].check;
        }
    }
    return level;
}

/* The text with the line of this name put in place, or added. */
static const char *with(const char *text, const char *name, const char *value)
{
    static char out[2048];
    char line[128];
    const char *at = strstr(text, name);
    int before = at != NULL ? (int)(at - text) : (int)strlen(text);

    snprintf(line, sizeof line, "%s:%s\n", name, value);
    const char *behind = at != NULL ? strchr(at, '\n') + 1 : "";
    snprintf(out, sizeof out, "%.*s%s%s", before, text, line, behind);
    return out;
}

/* One line that is other than it should be is found, by its check; nothing else is. */
static void test_redis_rules(void **state)
{
    static const struct {
        const char *name, *value, *check;
        finding_level level;
    } cases[] = {
        {"redis_version", "7.0.0", NULL, FINDING_GOOD},
        {"redis_version", "6.2.14", "version", FINDING_BAD},
        {"aof_enabled", "0", "persistence", FINDING_WARNING},
        {"aof_last_write_status", "err", "persistence", FINDING_BAD},
        {"rdb_last_bgsave_status", "err", "persistence", FINDING_BAD},
        {"maxmemory_policy", "allkeys-lru", "eviction", FINDING_WARNING},
        {"evicted_keys", "1", "eviction", FINDING_BAD},
        {"maxmemory", "2000000", NULL, FINDING_GOOD},
        {"maxmemory", "1250000", "memory", FINDING_WARNING},
        {"maxmemory", "1080000", "memory", FINDING_BAD},
        {"role", "slave", "replicas", FINDING_BAD},
        {"connected_slaves", "0", NULL, FINDING_GOOD},
        {"latest_fork_usec", "1500000", "forks", FINDING_WARNING},
        {"rejected_connections", "3", "connections", FINDING_WARNING},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        findings found = {0};
        const char *check = NULL;
        doctor_redis(&found, with(GOOD_REDIS, cases[i].name, cases[i].value), 0);
        assert_int_equal(worst(&found, &check), cases[i].level);
        if (cases[i].check != NULL)
            assert_string_equal(check, cases[i].check);
        findings_clear(&found);
    }
}

static finding_level judge_replicas(const char *replica, const char *more)
{
    findings found = {0};
    const char *check = NULL;
    char text[1024];

    snprintf(text, sizeof text, "%sslave0:%s\r\n%s", with(GOOD_REDIS, "connected_slaves", "1"),
             replica, more);
    doctor_redis(&found, text, 0);
    finding_level level = worst(&found, &check);
    findings_clear(&found);
    return level;
}

/* Replicas must be up to date, and the master must not go on without them. */
static void test_redis_replicas(void **state)
{
    static const char guarded[] = "min_slaves_good_slaves:1\r\n";
    (void)state;

    assert_int_equal(judge_replicas("ip=a,port=1,state=online,offset=1,lag=1", guarded),
                     FINDING_GOOD);
    assert_int_equal(judge_replicas("ip=a,port=1,state=online,offset=1,lag=1", ""),
                     FINDING_WARNING);
    assert_int_equal(judge_replicas("ip=a,port=1,state=online,offset=1,lag=11", guarded),
                     FINDING_BAD);
    assert_int_equal(judge_replicas("ip=a,port=1,state=wait_bgsave,offset=0,lag=0", guarded),
                     FINDING_BAD);
}

/* Eviction with a limit is worse than without; clocks are judged by how far they are apart. */
static void test_redis_more(void **state)
{
    static const struct {
        int64_t ahead_us;
        finding_level level;
    } clocks[] = {{0, FINDING_GOOD},          {-400000, FINDING_GOOD}, {600000, FINDING_WARNING},
                  {-600000, FINDING_WARNING}, {6000000, FINDING_BAD},  {-6000000, FINDING_BAD}};
    const char *check = NULL;
    char text[2048];
    findings found = {0};
    (void)state;

    snprintf(text, sizeof text, "%s", with(GOOD_REDIS, "maxmemory_policy", "allkeys-lru"));
    doctor_redis(&found, with(text, "maxmemory", "9000000"), 0);
    assert_int_equal(worst(&found, &check), FINDING_BAD);
    assert_string_equal(check, "eviction");
    findings_clear(&found);
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        doctor_redis(&found, GOOD_REDIS, clocks[i].ahead_us);
        assert_int_equal(worst(&found, &check), clocks[i].level);
        findings_clear(&found);
    }
}

static void test_etcd_rules(void **state)
{
    static const struct {
        const char *name, *value, *check;
        finding_level level;
    } cases[] = {
        {"version", "3.5.28", NULL, FINDING_GOOD},
        {"version", "3.5.27", "version", FINDING_WARNING},
        {"version", "3.4.41", "version", FINDING_WARNING},
        {"version", "3.6.9", NULL, FINDING_GOOD},
        {"version", "3.7.0", NULL, FINDING_GOOD},
        {"version", "3.3.27", "version", FINDING_BAD},
        {"leader", "0", "leader", FINDING_BAD},
        {"learner", "1", "leader", FINDING_BAD},
        {"alarm", "memberID:1 alarm:NOSPACE", "alarms", FINDING_BAD},
        {"db_size", "1900000000", "space", FINDING_WARNING},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        findings found = {0};
        const char *check = NULL;
        doctor_etcd(&found, with(GOOD_ETCD, cases[i].name, cases[i].value));
        assert_int_equal(worst(&found, &check), cases[i].level);
        if (cases[i].check != NULL)
            assert_string_equal(check, cases[i].check);
        findings_clear(&found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redis_rules),
        cmocka_unit_test(test_redis_replicas),
        cmocka_unit_test(test_redis_more),
        cmocka_unit_test(test_etcd_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
