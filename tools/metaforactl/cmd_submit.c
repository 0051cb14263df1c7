/* metaforactl submit: one task from the command line, or a file of them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <metafora/driver.h>

#include "bulk.h"
#include "commands.h"
#include "common/when.h"
#include "line_task.h"

static bulk_flags flags;
static const char *id, *at;
static int64_t not_before_us; /* of --at */

static const option_entry options[] = {
    {"id", OPTION_TEXT, "ID", &id, 0, 0,
     "the task's id (random); with --file: lines without one get ID-1, ID-2, ..., by their number"},
    {"at", OPTION_TEXT, "TIME", &at, 0, 0,
     "not to run before: 2030-01-31T12:00:00Z, or +90, +5m, +2h, +1d from now"},
    BULK_OPTIONS(&flags, "tasks from FILE (-: stdin), a JSON object a line", "ignore-existing",
                 "tasks that are there already are no failure"),
};

static int send(ctl_run *ctl, const bulk_chunk *chunk, mf_items_fn fn, void *arg, mf_error *error)
{
    return mf_client_submit(ctl->client, chunk->tasks, chunk->count, fn, arg, error);
}

/* A line: {"id": ..., "properties": ..., "not_before": ...}. */

static int add_line(bulk_chunk *chunk, const line_task *task, uint64_t number, mf_error *error)
{
    mf_task_spec spec = {.id = task->id, .properties = task->properties};
    char *made = NULL;

    spec.not_before_us = task->not_before_us != 0 ? task->not_before_us : not_before_us;
    if (task->id == NULL && id == NULL)
        return mf_error_set(error, MF_EINVAL,
                            "id: missing; with --id PREFIX the line's number makes one");
    if (task->id == NULL && asprintf(&made, "%s-%" PRIu64, id, number) < 0)
        return mf_error_set(error, MF_ENOMEM, "out of memory");
    if (made != NULL)
        spec.id = made;
    int code = mf_check_task_id("id", spec.id, error);
    if (code == MF_OK)
        code = bulk_add(chunk, &spec, error);
    free(made);
    return code;
}

static int parse(bulk_chunk *chunk, char *line, uint64_t number, mf_error *error)
{
    static const char *const others[] = {NULL};
    line_task task;

    int code = line_task_read(&task, line, others, error);
    if (code == MF_OK)
        code = add_line(chunk, &task, number, error);
    line_task_clear(&task);
    return code;
}

static const bulk_kind kind = {
    .verb = "submitted",
    .expected = MF_EEXISTS,
    .expected_text = "there already",
    .parse = parse,
    .send = send,
};

/* The command line: properties as they are, from a file by @FILE, from stdin by -. */

static int read_all(char **out, FILE *file)
{
    size_t room = 0;
    errno = 0;
    ssize_t length = getdelim(out, &room, '\0', file);

    if (length < 0 && (errno != 0 || (*out = strdup("")) == NULL))
        return -1;
    return length > 0 && (*out)[length - 1] == '\0' ? -1 : 0; /* JSON has no zero byte */
}

static int read_properties(char **out, const char *operand, mf_error *error)
{
    *out = NULL;
    if (strcmp(operand, "-") != 0 && operand[0] != '@') {
        *out = strdup(operand);
        return *out != NULL ? MF_OK : mf_error_set(error, MF_ENOMEM, "out of memory");
    }
    FILE *file = operand[0] == '@' ? fopen(operand + 1, "re") : stdin;
    if (file == NULL)
        return mf_error_set(error, MF_ESYSTEM, "%.150s: %s", operand + 1, strerror(errno));
    errno = 0;
    int code = read_all(out, file);
    if (file != stdin)
        fclose(file);
    if (code != 0)
        return mf_error_set(error, errno != 0 ? MF_ESYSTEM : MF_EINVAL, "properties: %s",
                            errno != 0 ? strerror(errno) : "have a zero byte");
    return MF_OK;
}

static int make_id(char out[17], mf_error *error)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return mf_error_set(error, MF_ESYSTEM, "no random number for an id: %s", strerror(errno));
    snprintf(out, 17, "%016" PRIx64, random);
    return MF_OK;
}

static int add_operand(bulk_chunk *chunk, const char *operand, mf_error *error)
{
    char random_id[17];
    char *properties = NULL;
    mf_task_spec spec = {.id = id, .not_before_us = not_before_us};

    int code = operand != NULL ? read_properties(&properties, operand, error) : MF_OK;
    spec.properties = properties;
    if (code == MF_OK && id == NULL) {
        code = make_id(random_id, error);
        spec.id = random_id;
    }
    if (code == MF_OK)
        code = mf_check_task_id("--id", spec.id, error);
    if (code == MF_OK)
        code = mf_check_properties("properties", spec.properties, error);
    if (code == MF_OK)
        code = bulk_add(chunk, &spec, error);
    free(properties);
    return code;
}

static int run(ctl_run *ctl, char **operands)
{
    bulk_chunk chunk = {0};
    mf_error error;

    if (flags.file != NULL && operands[0] != NULL)
        return options_complain(ctl->table, "either PROPERTIES or --file are wanted");
    if (at != NULL && when_parse(&not_before_us, "--at", at, &error) != MF_OK)
        return ctl_complain(&error);
    if (flags.file != NULL)
        return bulk_file(ctl, &kind, &flags);
    int status = add_operand(&chunk, operands[0], &error) == MF_OK
                     ? bulk_send(ctl, &kind, &flags, &chunk)
                     : ctl_complain(&error);
    bulk_clear(&chunk);
    return status;
}

const ctl_command command_submit = {
    .name = "submit",
    .usage = "[options] [PROPERTIES | @FILE | -] | --file FILE",
    .summary = "Submits a task with these properties, a JSON text; or a file of tasks.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = 1,
    .run = run,
};
