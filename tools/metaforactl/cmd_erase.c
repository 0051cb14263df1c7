/* metaforactl erase: tasks, with their states and what is known of their crashes. */
#include "bulk.h"
#include "commands.h"

static bulk_flags flags;

static const option_entry options[] = {
    BULK_OPTIONS(&flags, "the ids in FILE (-: stdin), one a line", "ignore-missing",
                 "tasks of which nothing is known are no failure"),
};

static int send(ctl_run *ctl, const bulk_chunk *chunk, mf_items_fn fn, void *arg, mf_error *error)
{
    return mf_client_erase(ctl->client, chunk->ids, chunk->count, fn, arg, error);
}

static const bulk_kind kind = {
    .verb = "erased",
    .expected = MF_EGONE,
    .expected_text = "not known",
    .send = send,
};

static int run(ctl_run *ctl, char **operands)
{
    return bulk_ids(ctl, &kind, &flags, operands);
}

const ctl_command command_erase = {
    .name = "erase",
    .usage = "[options] ID... | --file FILE",
    .summary = "Removes tasks as 'remove' does, and with them their states and crash counts.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = SIZE_MAX,
    .run = run,
};
