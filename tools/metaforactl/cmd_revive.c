/* metaforactl revive: tasks that were set aside or have ended run again. */
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "bulk.h"
#include "commands.h"

static bulk_flags flags;
static const char *properties;

static const option_entry options[] = {
    {"properties", OPTION_TEXT, "JSON", &properties, 0, 0,
     "of tasks that are gone, which have left none"},
    BULK_OPTIONS(&flags, "the ids in FILE (-: stdin), one a line", "ignore-missing",
                 "tasks that are gone are no failure, and stay so"),
};

/* The chunk's tasks as the broker has them. */
typedef struct lookup {
    bulk_chunk found;
    mf_item_result *gone;
    size_t gone_count;
    mf_error error;
} lookup;

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    lookup *me = arg;

    (void)last;
    if (error != NULL)
        me->error = *error;
    for (size_t i = 0; me->error.code == MF_OK && i < count; i++) {
        const mf_task_record *task = &tasks[i];
        if (task->code == MF_OK || (task->code == MF_EGONE && properties != NULL)) {
            const mf_task_spec spec = {
                .id = task->id, .properties = task->code == MF_OK ? task->properties : properties};
            bulk_add(&me->found, &spec, &me->error);
        } else {
            me->gone[me->gone_count++] = (mf_item_result){strdup(task->id), task->code};
        }
    }
}

static int look_up(ctl_run *ctl, const bulk_chunk *chunk, lookup *me, mf_error *error)
{
    me->gone = calloc(chunk->count, sizeof *me->gone);
    if (me->gone == NULL)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    int code = mf_client_lookup(ctl->client, chunk->ids, chunk->count, on_tasks, me, error);
    if (code != MF_OK)
        return code;
    mf_client_wait(ctl->client, NULL);
    if (me->error.code != MF_OK)
        *error = me->error;
    return me->error.code;
}

/* Those that can be are revived; the others have their result from the look. */
static int send(ctl_run *ctl, const bulk_chunk *chunk, mf_items_fn fn, void *arg, mf_error *error)
{
    lookup me = {.error.code = MF_OK};

    int code = look_up(ctl, chunk, &me, error);
    if (code == MF_OK && me.gone_count > 0)
        fn(NULL, me.gone, me.gone_count, arg);
    if (code == MF_OK && me.found.count > 0)
        code = mf_client_revive(ctl->client, me.found.tasks, me.found.count, fn, arg, error);
    for (size_t i = 0; i < me.gone_count; i++)
        free((char *)me.gone[i].id);
    free(me.gone);
    bulk_clear(&me.found);
    return code;
}

static const bulk_kind kind = {
    .verb = "revived",
    .expected = MF_EGONE,
    .expected_text = "gone",
    .send = send,
};

static int run(ctl_run *ctl, char **operands)
{
    mf_error error;

    if (properties != NULL && mf_check_properties("--properties", properties, &error) != MF_OK)
        return ctl_complain(&error);
    return bulk_ids(ctl, &kind, &flags, operands);
}

const ctl_command command_revive = {
    .name = "revive",
    .usage = "[options] ID... | --file FILE",
    .summary =
        "Lets tasks run again that were set aside, or have failed, completed or been killed.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = SIZE_MAX,
    .run = run,
};
