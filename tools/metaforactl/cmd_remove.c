/* metaforactl remove: tasks, also running ones, whose handlers are then stopped. */
#include "bulk.h"
#include "commands.h"

static bulk_flags flags;

static const option_entry options[] = {
    BULK_OPTIONS(&flags, "the ids in FILE (-: stdin), one a line", "ignore-missing",
                 "tasks that are not there are no failure"),
};

static int send(ctl_run *ctl, const bulk_chunk *chunk, mf_items_fn fn, void *arg, mf_error *error)
{
    return mf_client_remove(ctl->client, chunk->ids, chunk->count, fn, arg, error);
}

static const bulk_kind kind = {
    .verb = "removed",
    .expected = MF_EGONE,
    .expected_text = "not there",
    .send = send,
};

static int run(ctl_run *ctl, char **operands)
{
    return bulk_ids(ctl, &kind, &flags, operands);
}

const ctl_command command_remove = {
    .name = "remove",
    .usage = "[options] ID... | --file FILE",
    .summary = "Removes tasks, also running ones, whose handlers are stopped.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = SIZE_MAX,
    .run = run,
};
