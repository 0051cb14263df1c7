/* Each scenario of metafora-bench runs, small, and says what it should; how fast is not tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

static const char *program;
static bool has_etcd;

typedef struct output {
    char text[16384];
    int status;
} output;

static int set_up(void **state)
{
    *state = calloc(1, sizeof(output));
    return *state == NULL;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void run(output *out, const char *arguments)
{
    char command[4096];
    snprintf(command, sizeof command, "'%s' %s 2>&1", program, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(out->text, 1, sizeof out->text - 1, pipe);
    out->text[length] = '\0';
    out->status = pclose(pipe);
    assert_true(WIFEXITED(out->status));
    out->status = WEXITSTATUS(out->status);
}

/* Runs the scenario with --json and returns the object on the last line; the caller deletes it. */
static cJSON *run_scenario(output *out, const char *arguments)
{
    run(out, arguments);
    if (out->status != 0)
        fail_msg("%s: status %d: %s", arguments, out->status, out->text);
    char *end = out->text + strlen(out->text);
    assert_true(end > out->text && end[-1] == '\n');
    end[-1] = '\0';
    char *line = strrchr(out->text, '\n');
    cJSON *object = cJSON_Parse(line != NULL ? line + 1 : out->text);
    if (!cJSON_IsObject(object))
        fail_msg("%s: the last line is not an object: %s", arguments, out->text);
    return object;
}

/* `keys` are separated by blanks; each must be there and be a number. */
static void check_numbers(const cJSON *object, const char *keys)
{
    char copy[512];
    snprintf(copy, sizeof copy, "%s", keys);
    for (char *key = strtok(copy, " "); key != NULL; key = strtok(NULL, " "))
        if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(object, key)))
            fail_msg("\"%s\" is not there or is not a number", key);
}

static void check_text(const cJSON *object, const char *key, const char *text)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(item));
    assert_string_equal(item->valuestring, text);
}

/* claim measures the library and its floor in one run, on the private server. */
static void test_claim(void **state)
{
    cJSON *object = run_scenario(*state, "claim --tasks 1000 --rounds 2 --properties 40 --json");
    check_text(object, "scenario", "claim");
    check_text(object, "broker", "private-redis");
    check_numbers(object, "tasks seconds per_second floor_seconds floor_per_second of_floor "
                          "program_cpu_percent broker_cpu_percent");
    assert_int_equal(cJSON_GetObjectItem(object, "tasks")->valueint, 1000);
    cJSON_Delete(object);
}

/* submit does too, also over a unix socket. */
static void test_submit(void **state)
{
    cJSON *object =
        run_scenario(*state, "submit --broker private-redis-unix --tasks 1000 --rounds 1 --json");
    check_text(object, "broker", "private-redis-unix");
    check_numbers(object, "tasks seconds per_second floor_per_second of_floor");
    cJSON_Delete(object);
}

/* Both on etcd, where there is that driver: the floor's transactions succeed for every task, and
 * the private server can be emptied for the next round. */
static void test_etcd(void **state)
{
    static const char *const lines[] = {
        "claim --broker private-etcd --tasks 1500 --rounds 2 --properties 40 --json",
        "submit --broker private-etcd --tasks 300 --rounds 2 --json"};
    if (!has_etcd)
        skip();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cJSON *object = run_scenario(*state, lines[i]);
        check_text(object, "broker", "private-etcd");
        check_numbers(object, "tasks seconds per_second floor_per_second of_floor "
                              "broker_cpu_percent");
        cJSON_Delete(object);
    }
}

/* A killed process' tasks start elsewhere on etcd too. */
static void test_takeover_etcd(void **state)
{
    if (!has_etcd)
        skip();
    cJSON *object = run_scenario(*state, "takeover --broker private-etcd --tasks 200 --nodes 2 "
                                         "--lease-ms 2000 --rounds 1 --json");
    check_numbers(object, "tasks nodes lease_ms seconds seconds_over_lease");
    cJSON_Delete(object);
}

/* The embedded broker has no floor: the figure is there, and null. */
static void test_embedded(void **state)
{
    cJSON *object = run_scenario(*state, "claim --broker embedded --tasks 500 --rounds 1 --json");
    check_text(object, "broker", "embedded");
    check_numbers(object, "seconds per_second");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(object, "of_floor")));
    cJSON_Delete(object);
}

/* renew tells both sides' processor time, and the longest script. */
static void test_renew(void **state)
{
    cJSON *object = run_scenario(*state, "renew --tasks 500 --lease-ms 2000 --seconds 1 --json");
    check_numbers(object, "tasks lease_ms seconds consumer_cpu_percent consumer_idle_percent "
                          "broker_cpu_percent broker_idle_percent longest_script_ms");
    cJSON_Delete(object);
}

/* takeover kills a real process, whose tasks start again in another one. */
static void test_takeover(void **state)
{
    cJSON *object =
        run_scenario(*state, "takeover --tasks 200 --nodes 2 --lease-ms 2000 --rounds 1 --json");
    check_numbers(object, "tasks nodes lease_ms seconds seconds_over_lease");
    cJSON_Delete(object);
}

/* close tells of the requests by which a node leaves. */
static void test_close(void **state)
{
    cJSON *object = run_scenario(*state, "close --tasks 1000 --json");
    check_numbers(object, "tasks seconds requests longest_release_ms leave_ms longest_renewal_ms");
    cJSON_Delete(object);
}

/* latency measures starts and round trips in one run. */
static void test_latency(void **state)
{
    cJSON *object = run_scenario(*state, "latency --tasks 20 --json");
    check_numbers(object, "tasks p50_us p99_us ping_p50_us p50_round_trips p99_round_trips");
    cJSON_Delete(object);
}

/* handoff moves every task from one node to the other. */
static void test_handoff(void **state)
{
    cJSON *object = run_scenario(*state, "handoff --tasks 20 --json");
    check_numbers(object, "tasks p50_ms p99_ms command_p50_ms");
    cJSON_Delete(object);
}

/* memory tells bytes a task. */
static void test_memory(void **state)
{
    cJSON *object = run_scenario(*state, "memory --tasks 1000 --lease-ms 2000 --json");
    check_numbers(object, "tasks bytes_per_task heap_bytes_per_task");
    cJSON_Delete(object);
}

/* sleep tells bytes a task and times. */
static void test_sleep(void **state)
{
    cJSON *object = run_scenario(*state, "sleep --tasks 500 --lease-ms 2000 --json");
    check_numbers(object, "tasks bytes_per_task waking wake_seconds pause_p99_ms resume_p99_ms");
    cJSON_Delete(object);
}

/* Every scenario explains itself, and the first help names all of them. */
static void test_help(void **state)
{
    static const char *const names[] = {"claim",   "submit",  "renew",  "takeover", "close",
                                        "latency", "handoff", "memory", "sleep"};
    output *out = *state;
    run(out, "--help");
    assert_int_equal(out->status, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(strstr(out->text, names[i]));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char arguments[64];
        snprintf(arguments, sizeof arguments, "%s --help", names[i]);
        run(out, arguments);
        assert_int_equal(out->status, 0);
        assert_non_null(strstr(out->text, "--broker"));
    }
}

/* Bad arguments get one line that names the option and the rule, and status 2. */
static void test_bad_arguments(void **state)
{
    static const struct {
        const char *arguments, *text;
    } cases[] = {
        {"nonsense", "nonsense: no such scenario"},
        {"claim --nonsense", "--nonsense: no such option"},
        {"claim --tasks", "--tasks: needs a value"},
        {"claim --tasks 0", "--tasks: must be a number from 1 to 10000000, not '0'"},
        {"claim --tasks 1x", "not '1x'"},
        {"claim --json=1", "--json: takes no value"},
        {"submit --lease-ms 5000", "--lease-ms: means nothing to this scenario"},
    };
    output *out = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(out, cases[i].arguments);
        assert_int_equal(out->status, 2);
        if (strstr(out->text, cases[i].text) == NULL)
            fail_msg("%s: %s", cases[i].arguments, out->text);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_help, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_claim, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_submit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_etcd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_takeover_etcd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_embedded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_renew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_takeover, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_latency, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_handoff, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sleep, set_up, tear_down),
    };
    program = argc > 1 ? argv[1] : "./metafora-bench";
    has_etcd = argc > 2 && strcmp(argv[2], "etcd") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
