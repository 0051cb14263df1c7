/* metaforactl tasks: all tasks, or those that are asked for. */
#include <fnmatch.h>
#include <string.h>

#include "commands.h"
#include "records.h"
#include "table.h"

static struct {
    const char *node, *match, *status;
    bool count;
} flags;

static const option_entry options[] = {
    {"node", OPTION_TEXT, "NAME", &flags.node, 0, 0, "only those that this node has"},
    {"status", OPTION_TEXT, "STATUS", &flags.status, 0, 0,
     "only those: running, waiting, set-aside, damaged"},
    {"match", OPTION_TEXT, "PATTERN", &flags.match, 0, 0,
     "only ids that match, as a shell does it: 'import-*'"},
    {"count", OPTION_FLAG, NULL, &flags.count, 0, 0, "only how many there are"},
};

typedef struct listing {
    text_table *table; /* NULL: JSON, or only the number is wanted */
    json json;
    bool as_json;
    uint64_t count;
    int status;
} listing;

static bool is_wanted(const mf_task_record *task)
{
    if (flags.node != NULL && (task->owner == NULL || strcmp(task->owner, flags.node) != 0))
        return false;
    if (flags.status != NULL && strcmp(record_status(task), flags.status) != 0)
        return false;
    return flags.match == NULL || fnmatch(flags.match, task->id, 0) == 0;
}

static void show_task(listing *to, const mf_task_record *task)
{
    if (to->as_json) {
        json_open(&to->json, NULL, '{');
        record_json(&to->json, task);
        json_close(&to->json, '}');
        json_line(&to->json);
        return;
    }
    table_text(to->table, task->id);
    table_text(to->table, record_status(task));
    table_text(to->table, task->owner);
    table_count(to->table, task->fence);
    table_count(to->table, task->crashes);
    table_text(to->table, task->code == MF_OK ? task->properties : mf_strerror(task->code));
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    listing *to = arg;

    (void)last;
    if (error != NULL) {
        to->status = ctl_complain(error);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_wanted(&tasks[i]))
            continue;
        to->count++;
        if (!flags.count)
            show_task(to, &tasks[i]);
    }
}

static bool is_status(const char *text)
{
    static const char *const all[] = {"running", "waiting", "set-aside", "damaged"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(text, all[i]) == 0)
            return true;
    return false;
}

static void show_count(listing *to)
{
    if (to->as_json) {
        json_open(&to->json, NULL, '{');
        json_count(&to->json, "tasks", to->count);
        json_close(&to->json, '}');
        json_line(&to->json);
    } else {
        printf("%llu\n", (unsigned long long)to->count);
    }
}

static int run(ctl_run *ctl, char **operands)
{
    static const table_column columns[] = {{"ID", false},     {"STATUS", false},
                                           {"NODE", false},   {"FENCE", true},
                                           {"CRASHES", true}, {"PROPERTIES", false}};
    listing to = {.json = {.to = stdout}, .as_json = ctl->json};
    mf_error error;

    (void)operands;
    if (flags.status != NULL && !is_status(flags.status))
        return options_complain(ctl->table,
                                "--status: '%s' is not running, waiting, set-aside or damaged",
                                flags.status);
    if (!ctl->json && !flags.count)
        to.table = table_new(stdout, columns, sizeof columns / sizeof *columns);
    int code = mf_client_tasks(ctl->client, on_tasks, &to, &error);
    int status = ctl_finish(ctl, code, &error, &to.status);
    if (flags.count && status == CTL_DONE)
        show_count(&to);
    if (status == CTL_DONE || to.count > 0)
        table_end(to.table);
    else
        table_drop(to.table);
    return status;
}

const ctl_command command_tasks = {
    .name = "tasks",
    .usage = "[options]",
    .summary = "Lists the tasks.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
