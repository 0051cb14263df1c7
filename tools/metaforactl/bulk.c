/* Many tasks, in chunks. */
#include "bulk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <metafora/driver.h>

#include "common/show.h"
#include "interrupt.h"
#include "json.h"
#include "progress.h"

/* Chunks are large enough to keep the broker busy, and small enough to end soon. */
enum { CHUNK_TASKS = 5000, CHUNK_BYTES = 16 << 20 };

typedef struct work {
    ctl_run *ctl;
    const bulk_kind *kind;
    const bulk_flags *flags;
    bool tell_each; /* people want a line for each that is done */
    uint64_t done, expected, failed;
    int status;
} work;

/* The chunk. */

static int no_memory(mf_error *error)
{
    return mf_error_set(error, MF_ENOMEM, "out of memory");
}

static int grow(bulk_chunk *chunk)
{
    size_t room = chunk->room > 0 ? chunk->room * 2 : 64;
    mf_task_spec *tasks = realloc(chunk->tasks, room * sizeof *tasks);
    if (tasks != NULL)
        chunk->tasks = tasks;
    const char **ids = realloc(chunk->ids, room * sizeof *ids);
    if (ids != NULL)
        chunk->ids = ids;
    if (tasks == NULL || ids == NULL)
        return -1;
    chunk->room = room;
    return 0;
}

int bulk_add(bulk_chunk *chunk, const mf_task_spec *task, mf_error *error)
{
    if (chunk->count == chunk->room && grow(chunk) != 0)
        return no_memory(error);
    char *id = strdup(task->id);
    char *properties = task->properties != NULL ? strdup(task->properties) : NULL;
    if (id == NULL || (task->properties != NULL && properties == NULL)) {
        free(id);
        free(properties);
        return no_memory(error);
    }
    chunk->ids[chunk->count] = id;
    chunk->tasks[chunk->count++] =
        (mf_task_spec){.id = id, .properties = properties, .not_before_us = task->not_before_us};
    chunk->bytes += strlen(id) + (properties != NULL ? strlen(properties) : 0);
    return MF_OK;
}

static void empty(bulk_chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++) {
        free((char *)chunk->tasks[i].id);
        free((char *)chunk->tasks[i].properties);
    }
    chunk->count = chunk->bytes = 0;
}

void bulk_clear(bulk_chunk *chunk)
{
    empty(chunk);
    free(chunk->tasks);
    free(chunk->ids);
    *chunk = (bulk_chunk){0};
}

/* Sending it. */

static void put_result(const char *id, const char *verb, int code)
{
    json out = {.to = stdout};

    json_open(&out, NULL, '{');
    json_text(&out, "id", id);
    if (code == MF_OK) {
        json_text(&out, "result", verb);
    } else {
        json_text(&out, "error", mf_error_name(code));
        json_text(&out, "text", mf_strerror(code));
    }
    json_close(&out, '}');
    json_line(&out);
}

static void tell(const work *me, const mf_item_result *item, bool is_failure)
{
    if (me->ctl->json) {
        put_result(item->id, me->kind->verb, item->code);
    } else if (item->code == MF_OK && me->tell_each) {
        show(stdout, item->id);
        printf(" %s\n", me->kind->verb);
    }
    if (is_failure)
        show_complaint(item->id, mf_strerror(item->code));
}

static void on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    work *me = arg;

    if (error != NULL)
        me->status = ctl_worse(me->status, ctl_complain(error));
    for (size_t i = 0; i < count; i++) {
        int code = items[i].code;
        bool is_expected = code != MF_OK && code == me->kind->expected && me->flags->ignore;
        /* What was not reached for the error is told once. */
        bool is_failure = code != MF_OK && !is_expected && (error == NULL || code != error->code);
        me->done += code == MF_OK;
        me->expected += is_expected;
        me->failed += code != MF_OK && !is_expected;
        if (is_failure)
            me->status = ctl_worse(me->status, CTL_NOT_ALL);
        tell(me, &items[i], is_failure);
    }
}

/* False: the call failed as a whole, and who knows how much of it was done. */
static bool send_chunk(work *me, const bulk_chunk *chunk)
{
    mf_error error;

    if (chunk->count == 0)
        return true;
    int code = me->kind->send(me->ctl, chunk, on_items, me, &error);
    me->status = ctl_worse(me->status, ctl_finish(me->ctl, code, &error, &me->status));
    return me->status <= CTL_NOT_ALL;
}

int bulk_send(ctl_run *ctl, const bulk_kind *kind, const bulk_flags *flags, const bulk_chunk *chunk)
{
    work me = {.ctl = ctl, .kind = kind, .flags = flags, .tell_each = true};

    send_chunk(&me, chunk);
    return me.status;
}

/* A file. */

typedef struct input {
    const char *path;
    FILE *file;
    uint64_t lines;       /* read */
    uint64_t done;        /* lines that need not be read again */
    uint64_t bytes, size; /* size 0: unknown */
    char *line;
    size_t room;
    bool has_zero; /* the line has a zero byte in it */
} input;

static int open_input(input *in, const char *path, mf_error *error)
{
    struct stat status;

    *in = (input){.path = path};
    in->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (in->file == NULL)
        return mf_error_set(error, MF_ESYSTEM, "--file: %.150s: %s", path, strerror(errno));
    if (fstat(fileno(in->file), &status) == 0 && S_ISREG(status.st_mode))
        in->size = (uint64_t)status.st_size;
    return MF_OK;
}

static void close_input(input *in)
{
    if (in->file != NULL && in->file != stdin)
        fclose(in->file);
    free(in->line);
}

/* False at the end, and when it was interrupted or cannot be read. */
static bool next_line(input *in)
{
    ssize_t length = interrupt_came() ? -1 : getline(&in->line, &in->room, in->file);

    if (length < 0)
        return false;
    /* Of a line that was cut off, the beginning may be a good line, but is another one. */
    if (in->line[length - 1] != '\n' && (interrupt_came() || ferror(in->file)))
        return false;
    in->lines++;
    in->bytes += (uint64_t)length;
    while (length > 0 && (in->line[length - 1] == '\n' || in->line[length - 1] == '\r'))
        in->line[--length] = '\0';
    in->has_zero = strlen(in->line) != (size_t)length;
    return true;
}

static int parse_id(bulk_chunk *chunk, char *line, mf_error *error)
{
    if (mf_check_task_id("id", line, error) != MF_OK)
        return MF_EINVAL;
    return bulk_add(chunk, &(mf_task_spec){.id = line}, error);
}

static int parse_line(const work *me, bulk_chunk *chunk, input *in, mf_error *error)
{
    mf_error fault;
    int code;

    if (in->line[strspn(in->line, " \t")] == '\0' && !in->has_zero)
        return MF_OK;
    if (in->has_zero)
        code = mf_error_set(&fault, MF_EINVAL, "has a zero byte");
    else if (me->kind->parse != NULL)
        code = me->kind->parse(chunk, in->line, in->lines, &fault);
    else
        code = parse_id(chunk, in->line, &fault);
    if (code != MF_OK)
        mf_error_set(error, code, "%.80s: line %" PRIu64 ": %.140s", in->path, in->lines,
                     fault.text);
    return code;
}

/* Reads until the chunk is full or there is no more. */
static int fill(work *me, bulk_chunk *chunk, input *in, bool *has_more)
{
    mf_error error;

    empty(chunk);
    *has_more = true;
    while (chunk->count < CHUNK_TASKS && chunk->bytes < CHUNK_BYTES) {
        if (!next_line(in)) {
            *has_more = false;
            break;
        }
        if (in->lines <= (uint64_t)me->flags->skip)
            continue;
        if (parse_line(me, chunk, in, &error) != MF_OK) {
            in->lines--; /* it is the next one, once it is mended */
            return ctl_complain(&error);
        }
    }
    if (!*has_more && ferror(in->file) && !interrupt_came()) {
        mf_error_set(&error, MF_ESYSTEM, "%.150s: cannot be read", in->path);
        return ctl_complain(&error);
    }
    return CTL_DONE;
}

static void put_word(const char *word)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@%+=,";

    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        fprintf(stderr, " %s", word);
        return;
    }
    fputs(" '", stderr);
    for (; *word != '\0'; word++)
        fputs(*word == '\'' ? "'\\''" : (char[2]){*word}, stderr);
    fputc('\'', stderr);
}

/* The command line again, with another --skip. */
static void tell_how_to_go_on(const work *me, uint64_t lines)
{
    char *const *word = me->ctl->argv;

    fprintf(stderr, "%s: %" PRIu64 " lines are done; to go on:", program_invocation_short_name,
            lines);
    for (; *word != NULL; word++) {
        if (strcmp(*word, "--skip") == 0 && word[1] != NULL)
            word++;
        else if (strncmp(*word, "--skip=", 7) != 0)
            put_word(*word);
    }
    fprintf(stderr, " --skip %" PRIu64 "\n", lines);
}

static void sum_up(const work *me)
{
    if (me->ctl->json)
        return;
    printf("%" PRIu64 " %s", me->done, me->kind->verb);
    if (me->expected > 0)
        printf(", %" PRIu64 " %s", me->expected, me->kind->expected_text);
    if (me->failed > 0)
        printf(", %" PRIu64 " not", me->failed);
    putchar('\n');
}

static int work_through(work *me, input *in)
{
    bulk_chunk chunk = {0};
    progress_line progress;
    bool has_more = true;

    progress_begin(&progress, me->kind->verb);
    while (has_more && me->status <= CTL_NOT_ALL) {
        int fault = fill(me, &chunk, in, &has_more);
        if (!send_chunk(me, &chunk))
            break;
        in->done = in->lines;
        me->status = ctl_worse(me->status, fault);
        progress_show(&progress, me->done + me->expected, in->bytes, in->size);
    }
    progress_end(&progress);
    bulk_clear(&chunk);
    sum_up(me);
    if (interrupt_came())
        me->status = CTL_INTERRUPTED;
    if (me->status > CTL_NOT_ALL)
        tell_how_to_go_on(me, in->done > (uint64_t)me->flags->skip ? in->done
                                                                   : (uint64_t)me->flags->skip);
    return me->status;
}

int bulk_file(ctl_run *ctl, const bulk_kind *kind, const bulk_flags *flags)
{
    work me = {.ctl = ctl, .kind = kind, .flags = flags};
    input in;
    mf_error error;

    int status = open_input(&in, flags->file, &error) == MF_OK ? CTL_DONE : ctl_complain(&error);
    if (status == CTL_DONE) {
        interrupt_catch();
        status = work_through(&me, &in);
    }
    close_input(&in);
    return status;
}

int bulk_ids(ctl_run *ctl, const bulk_kind *kind, const bulk_flags *flags, char **operands)
{
    bulk_chunk chunk = {0};
    mf_error error;
    int status = CTL_DONE;

    if ((operands[0] == NULL) == (flags->file == NULL))
        return options_complain(ctl->table, "either ids or --file are wanted");
    if (flags->file != NULL)
        return bulk_file(ctl, kind, flags);
    for (; *operands != NULL && status == CTL_DONE; operands++)
        if (parse_id(&chunk, *operands, &error) != MF_OK)
            status = ctl_complain(&error);
    if (status == CTL_DONE)
        status = bulk_send(ctl, kind, flags, &chunk);
    bulk_clear(&chunk);
    return status;
}
