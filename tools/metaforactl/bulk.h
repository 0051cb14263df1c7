/* One task after the other, of the command line or of a file however long: checked, sent in chunks,
 * accounted for; interrupted between chunks, with the line that goes on. */
#ifndef METAFORACTL_BULK_H
#define METAFORACTL_BULK_H

#include "ctl.h"

/* The options of commands that work through a file, and their rows of the table. */
typedef struct bulk_flags {
    const char *file; /* NULL: the tasks are operands */
    int skip;         /* lines */
    bool ignore;      /* the kind's `expected` is no failure */
} bulk_flags;

#define BULK_OPTIONS(flags, file_help, ignore_name, ignore_help)                        \
    {"file", OPTION_TEXT, "FILE", &(flags)->file, 0, 0, file_help},                     \
        {"skip",                                                                        \
         OPTION_NUMBER,                                                                 \
         "N",                                                                           \
         &(flags)->skip,                                                                \
         0,                                                                             \
         INT32_MAX,                                                                     \
         "leave out the first N lines of the file: to go on where it was interrupted"}, \
    {                                                                                   \
        ignore_name, OPTION_FLAG, NULL, &(flags)->ignore, 0, 0, ignore_help             \
    }

/* Tasks on their way; `ids` are those of the tasks. Strings are the chunk's. */
typedef struct bulk_chunk {
    mf_task_spec *tasks;
    const char **ids;
    size_t count, room, bytes;
} bulk_chunk;

typedef struct bulk_kind {
    const char *verb;          /* what a success is called: "submitted" */
    int expected;              /* the code that BULK_OPTIONS' ignore lets pass; 0: none */
    const char *expected_text; /* how the summary counts these: "there already" */
    /* Adds the line's task to the chunk; the line may be changed. MF_EINVAL, with a text that names
     * the field and the rule. NULL: lines are ids. */
    int (*parse)(bulk_chunk *chunk, char *line, uint64_t number, mf_error *error);
    int (*send)(ctl_run *ctl, const bulk_chunk *chunk, mf_items_fn fn, void *arg, mf_error *error);
} bulk_kind;

/* What it is given is copied. MF_ENOMEM. */
int bulk_add(bulk_chunk *chunk, const mf_task_spec *task, mf_error *error);
void bulk_clear(bulk_chunk *chunk);

/* Each returns an exit status. */
int bulk_send(ctl_run *ctl, const bulk_kind *kind, const bulk_flags *flags,
              const bulk_chunk *chunk);
int bulk_file(ctl_run *ctl, const bulk_kind *kind, const bulk_flags *flags);
/* The operands, which are ids, or the file; exactly one of both is wanted. */
int bulk_ids(ctl_run *ctl, const bulk_kind *kind, const bulk_flags *flags, char **operands);

#endif
