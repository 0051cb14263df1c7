/* metaforactl tell: a message to tasks with states. */
#include "bulk.h"
#include "commands.h"
#include "common/orders.h"

static bulk_flags flags;
static mf_message message;

static const option_entry options[] = {
    BULK_OPTIONS(&flags, "to the ids in FILE (-: stdin), one a line", "ignore-missing",
                 "tasks that are not there are no failure"),
};

static int send(ctl_run *ctl, const bulk_chunk *chunk, mf_items_fn fn, void *arg, mf_error *error)
{
    return mf_client_tell(ctl->client, chunk->ids, chunk->count, &message, fn, arg, error);
}

static const bulk_kind kind = {
    .verb = "told",
    .expected = MF_EGONE,
    .expected_text = "not there",
    .send = send,
};

static int run(ctl_run *ctl, char **operands)
{
    char *id[2] = {flags.file == NULL ? operands[0] : NULL, NULL};
    char **words = flags.file == NULL && operands[0] != NULL ? operands + 1 : operands;
    mf_error error;

    if (order_message(&message, flags.file == NULL ? "the id" : "--file FILE", words, &error) !=
        MF_OK)
        return options_complain(ctl->table, "%s", error.text);
    return bulk_ids(ctl, &kind, &flags, id);
}

const ctl_command command_tell = {
    .name = "tell",
    .usage = "[options] ID MESSAGE | --file FILE MESSAGE",
    .summary =
        "Sends a message to tasks with states: run, pause, kill, sleep TIME, error TEXT, ...",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = 3,
    .run = run,
};
