/* metaforactl doctor: is the broker set up as it should be, and is the namespace well? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <metafora/driver.h>

#include "commands.h"
#include "common/show.h"
#include "doctor.h"
#include "json.h"
#include "nodes.h"
#include "records.h"
#include "table.h"

static bool write_too;

static const option_entry options[] = {
    {"write", OPTION_FLAG, NULL, &write_too, 0, 0,
     "also submit a task that is due in a day, and remove it: may this user write?"},
};

enum { LATENCY_LOOKS = 20, SAMPLE = 3, SLOW_US = 20000, VERY_SLOW_US = 250000 };

typedef struct examination {
    ctl_run *ctl;
    findings found;
    int status; /* of the calls, not of what was found */
    char *server_text;
    int64_t asked_us, answered_us; /* wall time, around the look at the server */
} examination;

/* The server. */

static void on_described(mf_request *request)
{
    examination *me = request->arg;
    const mf_describe_request *describe = (const mf_describe_request *)request;

    me->answered_us = mf_loop_wall_us(me->ctl->loop);
    if (request->error.code == MF_OK)
        me->server_text = strdup(describe->text);
    mf_loop_stop(me->ctl->loop);
}

static void judge_redis(examination *me)
{
    char text[32];
    int64_t middle_us = me->asked_us + (me->answered_us - me->asked_us) / 2;

    doctor_field(text, sizeof text, me->server_text, "server_time_usec");
    doctor_redis(&me->found, me->server_text, strtoll(text, NULL, 10) - middle_us);
}

static void examine_server(examination *me)
{
    mf_broker *broker = me->ctl->broker;
    mf_describe_request request = {.request = {.done = on_described, .arg = me}};

    if (broker->operations->describe == NULL)
        return;
    me->asked_us = mf_loop_wall_us(me->ctl->loop);
    broker->operations->describe(broker, &request);
    mf_loop_run(me->ctl->loop);
    if (me->server_text == NULL)
        finding_add(&me->found, "server", FINDING_WARNING,
                    "grant it, so that doctor can look: +info on Redis",
                    "it does not say how it is: %s", request.request.error.text);
    else if (strcmp(broker->driver->name, "redis") == 0)
        judge_redis(me);
    else if (strcmp(broker->driver->name, "etcd") == 0)
        doctor_etcd(&me->found, me->server_text);
    free(me->server_text);
}

/* Latency: of the smallest look there is. */

static void on_looked_up(const mf_error *error, const mf_task_record *tasks, size_t count,
                         bool last, void *arg)
{
    examination *me = arg;

    (void)tasks;
    (void)count;
    (void)last;
    if (error != NULL)
        me->status = ctl_complain(error);
}

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* The first look makes the connection, and is not counted. */
static void examine_latency(examination *me)
{
    static const char *const id[] = {"metaforactl-doctor"};
    int64_t took_us[LATENCY_LOOKS];
    mf_error error;

    for (int i = -1; i < LATENCY_LOOKS && me->status == CTL_DONE; i++) {
        int64_t begun_us = mf_loop_now_us(me->ctl->loop);
        int code = mf_client_lookup(me->ctl->client, id, 1, on_looked_up, me, &error);
        me->status = ctl_finish(me->ctl, code, &error, &me->status);
        if (i >= 0)
            took_us[i] = mf_loop_now_us(me->ctl->loop) - begun_us;
    }
    if (me->status != CTL_DONE)
        return;
    qsort(took_us, LATENCY_LOOKS, sizeof *took_us, by_value);
    int64_t median_us = took_us[LATENCY_LOOKS / 2], most_us = took_us[LATENCY_LOOKS - 1];
    finding_add(&me->found, "latency",
                median_us > VERY_SLOW_US ? FINDING_BAD
                : median_us > SLOW_US    ? FINDING_WARNING
                                         : FINDING_GOOD,
                median_us > SLOW_US ? "look at the network and the server's load: every claim and "
                                      "renewal takes that long"
                                    : NULL,
                "a look takes %.1f ms, the slowest of %d %.1f ms", (double)median_us / 1000,
                LATENCY_LOOKS, (double)most_us / 1000);
}

/* Tasks, their owners, and nodes. */

typedef struct sample {
    uint64_t count;
    char text[256]; /* the first few, escaped */
} sample;

typedef struct census {
    examination *run;
    node_list nodes;
    uint64_t tasks, waiting;
    sample damaged, set_aside, strayed, damaged_states, ended;
} census;

static void note(sample *to, const char *id)
{
    char text[64];
    size_t used = strlen(to->text);

    if (to->count++ < SAMPLE) {
        mf_escape(text, sizeof text, id);
        snprintf(to->text + used, sizeof to->text - used, "%s%s", used > 0 ? ", " : "", text);
    }
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    census *me = arg;

    (void)last;
    if (error != NULL)
        me->run->status = ctl_complain(error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        const mf_task_record *task = &tasks[i];
        me->tasks++;
        if (task->code != MF_OK)
            note(&me->damaged, task->id);
        else if (task->owner == NULL && task->set_aside)
            note(&me->set_aside, task->id);
        else if (task->owner == NULL)
            me->waiting++;
        else if (node_list_find(&me->nodes, task->owner) == SIZE_MAX)
            note(&me->strayed, task->id);
    }
}

static void on_states(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                      void *arg)
{
    census *me = arg;

    (void)last;
    if (error != NULL)
        me->run->status = ctl_complain(error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        if (states[i].code != MF_OK)
            note(&me->damaged_states, states[i].id);
        else if (mf_state_is_terminal(states[i].state->code))
            note(&me->ended, states[i].id);
    }
}

static void judge_sample(findings *to, const sample *found, const char *check, finding_level level,
                         const char *what, const char *advice)
{
    if (found->count > 0)
        finding_add(to, check, level, advice, "%" PRIu64 " %s: %s%s", found->count, what,
                    found->text, found->count > SAMPLE ? ", ..." : "");
}

static void judge_nodes(findings *to, const census *me)
{
    size_t ready = 0;

    for (size_t i = 0; i < me->nodes.count; i++)
        ready += me->nodes.nodes[i].weight > 0;
    if (ready == 0 && me->tasks > 0)
        finding_add(to, "nodes", FINDING_BAD,
                    me->nodes.count == 0 ? "start one" : "metaforactl command NODE undrain",
                    "%zu, none takes tasks, and there are %" PRIu64, me->nodes.count, me->tasks);
    else
        finding_add(to, "nodes", FINDING_GOOD, NULL, "%zu, of which %zu take tasks",
                    me->nodes.count, ready);
}

static void judge_census(findings *to, const census *me)
{
    judge_nodes(to, me);
    finding_add(to, "tasks", FINDING_GOOD, NULL,
                "%" PRIu64 ", of which %" PRIu64 " wait for a node or for their time", me->tasks,
                me->waiting);
    judge_sample(to, &me->damaged, "tasks", FINDING_BAD, "damaged",
                 "put their properties right, or 'metaforactl remove' them");
    judge_sample(to, &me->set_aside, "tasks", FINDING_WARNING, "set aside after crashes",
                 "find out why their nodes died; then 'metaforactl revive'");
    judge_sample(to, &me->strayed, "tasks", FINDING_WARNING, "held by a node that is not live",
                 "within a lease they move; if they do not, what holds them has no end: delete it");
    judge_sample(to, &me->damaged_states, "states", FINDING_BAD, "damaged",
                 "'metaforactl erase' them, or 'revive' the tasks");
    judge_sample(to, &me->ended, "states", FINDING_GOOD, "of tasks that have ended", NULL);
}

static void examine_tasks(examination *me)
{
    census all = {.run = me};
    mf_error error;

    me->status = node_list_read(&all.nodes, me->ctl);
    if (me->status != CTL_DONE)
        return;
    int code = mf_client_tasks(me->ctl->client, on_tasks, &all, &error);
    me->status = ctl_finish(me->ctl, code, &error, &me->status);
    if (me->status == CTL_DONE) {
        code = mf_client_states(me->ctl->client, 0, on_states, &all, &error);
        if (code != MF_ENOTSUP)
            me->status = ctl_finish(me->ctl, code, &error, &me->status);
    }
    if (me->status == CTL_DONE)
        judge_census(&me->found, &all);
    node_list_clear(&all.nodes);
}

/* Writing. */

static void on_written(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    mf_error *out = arg;

    (void)count;
    if (error != NULL)
        *out = *error;
    else if (items[0].code != MF_OK)
        mf_error_set(out, items[0].code, "%s", mf_strerror(items[0].code));
}

static int try_write(examination *me, mf_error *error)
{
    char id[64];
    uint64_t random = 0;
    mf_error answer = {.code = MF_OK};

    if (getrandom(&random, sizeof random, 0) < 0)
        return mf_error_set(error, MF_ESYSTEM, "no random number: %m");
    snprintf(id, sizeof id, "metaforactl-doctor-%016" PRIx64, random);
    const mf_task_spec task = {
        .id = id, .not_before_us = mf_loop_wall_us(me->ctl->loop) + INT64_C(86400) * 1000000};
    const char *ids[] = {id};
    int code = mf_client_submit(me->ctl->client, &task, 1, on_written, &answer, error);
    if (code == MF_OK) {
        mf_client_wait(me->ctl->client, NULL);
        code = answer.code;
    }
    if (code == MF_OK) {
        code = mf_client_remove(me->ctl->client, ids, 1, on_written, &answer, error);
        mf_client_wait(me->ctl->client, NULL);
    }
    if (answer.code != MF_OK)
        *error = answer;
    return answer.code != MF_OK ? answer.code : code;
}

static void examine_writing(examination *me)
{
    mf_error error;

    if (try_write(me, &error) == MF_OK)
        finding_add(&me->found, "permissions", FINDING_GOOD, NULL, "this user may write");
    else
        finding_add(&me->found, "permissions", FINDING_BAD,
                    "grant what docs/operations.md lists, on the namespace's keys",
                    "this user cannot write: %s", error.text);
}

/* Telling. */

static const char *const levels[] = {"good", "warning", "bad"};

static void put(const findings *found)
{
    json out = {.to = stdout};

    for (size_t i = 0; i < found->count; i++) {
        json_open(&out, NULL, '{');
        json_text(&out, "check", found->all[i].check);
        json_text(&out, "result", levels[found->all[i].level]);
        json_text(&out, "text", found->all[i].text);
        json_text(&out, "advice", found->all[i].advice);
        json_close(&out, '}');
        json_line(&out);
    }
}

static void show_findings(const findings *found)
{
    for (size_t i = 0; i < found->count; i++) {
        const finding *one = &found->all[i];
        printf("%-8s %-12s ", levels[one->level], one->check);
        show(stdout, one->text);
        putchar('\n');
        if (one->advice != NULL)
            printf("%21s -> %s\n", "", one->advice);
    }
}

static int run(ctl_run *ctl, char **operands)
{
    examination me = {.ctl = ctl};

    (void)operands;
    examine_latency(&me);
    if (me.status == CTL_DONE)
        examine_server(&me);
    if (me.status == CTL_DONE)
        examine_tasks(&me);
    if (me.status == CTL_DONE && write_too)
        examine_writing(&me);
    if (ctl->json)
        put(&me.found);
    else
        show_findings(&me.found);
    for (size_t i = 0; i < me.found.count; i++)
        if (me.found.all[i].level == FINDING_BAD)
            me.status = ctl_worse(me.status, CTL_NOT_ALL);
    findings_clear(&me.found);
    return me.status;
}

const ctl_command command_doctor = {
    .name = "doctor",
    .usage = "[options]",
    .summary = "Checks how the broker is set up and what is damaged or left over; says what to do.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
