/* metaforactl import: submits what export wrote, or any other program, as far as a client can write
 * it: properties, due times, and of states that a task sleeps or is paused. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "bulk.h"
#include "commands.h"
#include "common/show.h"
#include "line_task.h"

static bulk_flags flags = {.file = "-"};
static bulk_chunk paused; /* tasks of the chunk under way that are to be paused */
static uint64_t ended;    /* lines of tasks that are over */

static const option_entry options[] = {
    BULK_OPTIONS(&flags, "from FILE instead of stdin", "ignore-existing",
                 "tasks that are there already are no failure, and stay as they are"),
};

/* Sleeping becomes a due time. What has ended is not submitted: it would run again. */
static int heed_state(mf_task_spec *spec, const char *json, mf_error *error)
{
    mf_error fault;
    mf_state state;
    int code;

    if (mf_state_parse(&state, json, strlen(json), &fault) != MF_OK)
        return mf_error_set(error, MF_EINVAL, "state: %.200s", fault.text);
    if (state.code == MF_STATE_SLEEPING && state.has_until)
        spec->not_before_us = mf_time_to_wall_us(&state.until);
    code = state.code == MF_STATE_PAUSED ? bulk_add(&paused, spec, error) : MF_OK;
    if (code == MF_OK && mf_state_is_terminal(state.code))
        spec->id = NULL;
    mf_state_clear(&state);
    return code;
}

static int add_line(bulk_chunk *chunk, const line_task *task, mf_error *error)
{
    mf_task_spec spec = {
        .id = task->id, .properties = task->properties, .not_before_us = task->not_before_us};

    if (task->id == NULL)
        return mf_error_set(error, MF_EINVAL, "id: missing");
    int code = task->state != NULL ? heed_state(&spec, task->state, error) : MF_OK;
    if (code != MF_OK)
        return code;
    if (task->ended || spec.id == NULL) {
        ended++;
        return MF_OK;
    }
    return bulk_add(chunk, &spec, error);
}

static int parse(bulk_chunk *chunk, char *line, uint64_t number, mf_error *error)
{
    /* Also what 'tasks --json' writes. */
    static const char *const others[] = {"state", "ended",   "status", "node",
                                         "fence", "crashes", NULL};
    line_task task;

    (void)number;
    int code = line_task_read(&task, line, others, error);
    if (code == MF_OK)
        code = add_line(chunk, &task, error);
    line_task_clear(&task);
    return code;
}

static void on_told(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    (void)arg;
    if (error != NULL)
        show_complaint("pausing", error->text);
    for (size_t i = 0; error == NULL && i < count; i++)
        if (items[i].code != MF_OK)
            show_complaint(items[i].id, "is not paused");
}

/* Requests of one client may overtake each other: the tasks must be there before they are told. */
static int send(ctl_run *ctl, const bulk_chunk *chunk, mf_items_fn fn, void *arg, mf_error *error)
{
    const mf_message pause = mf_message_of(MF_MESSAGE_PAUSE);

    int code = mf_client_submit(ctl->client, chunk->tasks, chunk->count, fn, arg, error);
    if (code == MF_OK)
        mf_client_wait(ctl->client, NULL);
    if (code == MF_OK && paused.count > 0)
        code = mf_client_tell(ctl->client, paused.ids, paused.count, &pause, on_told, NULL, error);
    bulk_clear(&paused);
    return code;
}

static const bulk_kind kind = {
    .verb = "imported",
    .expected = MF_EEXISTS,
    .expected_text = "there already",
    .parse = parse,
    .send = send,
};

static int run(ctl_run *ctl, char **operands)
{
    (void)operands;
    int status = bulk_file(ctl, &kind, &flags);
    if (ended > 0)
        fprintf(stderr, "metaforactl: %" PRIu64 " tasks had ended, and are left out\n", ended);
    return status;
}

const ctl_command command_import = {
    .name = "import",
    .usage = "[options]",
    .summary = "Submits the tasks that export wrote, or another program in the same form.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
