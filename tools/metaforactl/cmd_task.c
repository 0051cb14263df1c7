/* metaforactl task: all that is known of one task. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "common/show.h"
#include "records.h"

/* Gathered while its objects are open: in JSON as members, for people as lines. */
typedef struct report {
    json json;
    bool as_json, is_known, has_state;
    int status;
} report;

static void line(const char *name, const char *text)
{
    printf("%-12s", name);
    show(stdout, text);
    putchar('\n');
}

static void show_task(report *to, const mf_task_record *task)
{
    if (to->as_json) {
        record_json(&to->json, task);
        return;
    }
    line("id", task->id);
    line("status", record_status(task));
    line("node", task->owner);
    printf("%-12s%llu\n", "fence", (unsigned long long)task->fence);
    printf("%-12s%u\n", "crashes", task->crashes);
    line("properties", task->code == MF_OK ? task->properties : mf_strerror(task->code));
}

static void on_task(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                    void *arg)
{
    report *to = arg;

    (void)last;
    if (error != NULL) {
        to->status = ctl_complain(error);
    } else if (count == 1 && tasks[0].code != MF_EGONE) {
        to->is_known = true;
        show_task(to, &tasks[0]);
    }
}

static void on_state(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                     void *arg)
{
    report *to = arg;

    (void)last;
    if (error != NULL) {
        to->status = ctl_worse(to->status, ctl_complain(error));
        return;
    }
    if (count != 1 || states[0].code == MF_EGONE)
        return;
    to->has_state = true;
    if (to->as_json && !to->is_known)
        json_text(&to->json, "id", states[0].id);
    if (to->as_json && states[0].code == MF_OK)
        json_raw(&to->json, "state", states[0].json);
    else if (to->as_json)
        json_text(&to->json, "state_damaged", states[0].json);
    else
        line("state", states[0].code == MF_OK ? states[0].json : mf_strerror(states[0].code));
}

static void on_placement(const mf_error *error, const mf_placement *placement, void *arg)
{
    report *to = arg;

    if (error != NULL) {
        to->status = ctl_worse(to->status, ctl_complain(error));
    } else if (placement->code != MF_EGONE && to->as_json) {
        json_text(&to->json, "home", placement->home);
        json_text(&to->json, "explanation", placement->text);
    } else if (placement->code != MF_EGONE) {
        line("explanation", placement->text);
    }
}

/* One call after the other: each adds its part. */
static int gather(ctl_run *ctl, const char *id, report *to)
{
    mf_error error;
    int code = mf_client_lookup(ctl->client, &id, 1, on_task, to, &error);
    int status = ctl_finish(ctl, code, &error, &to->status);
    if (status != CTL_DONE)
        return status;
    code = mf_client_lookup_states(ctl->client, &id, 1, on_state, to, &error);
    if (code != MF_ENOTSUP)
        status = ctl_finish(ctl, code, &error, &to->status);
    if (status != CTL_DONE || !to->is_known)
        return status;
    code = mf_client_explain(ctl->client, id, 0, on_placement, to, &error);
    return ctl_finish(ctl, code, &error, &to->status);
}

static int run(ctl_run *ctl, char **operands)
{
    char *text = NULL;
    size_t size = 0;
    report to = {.as_json = ctl->json};

    /* An object that stays open when a later call fails is not shown. */
    to.json.to = open_memstream(&text, &size);
    json_open(&to.json, NULL, '{');
    int status = gather(ctl, operands[0], &to);
    json_close(&to.json, '}');
    json_line(&to.json);
    fclose(to.json.to);
    if (status == CTL_DONE && !to.is_known && !to.has_state) {
        show_complaint(operands[0], mf_strerror(MF_EGONE));
        status = CTL_NOT_ALL;
    } else if (status == CTL_DONE && ctl->json) {
        fputs(text, stdout);
    }
    free(text);
    return status;
}

const ctl_command command_task = {
    .name = "task",
    .usage = "[options] ID",
    .summary =
        "Shows all that is known of one task, also of one that is gone and has left a state.",
    .least = 1,
    .most = 1,
    .run = run,
};
