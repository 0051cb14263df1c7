/* koalemosctl: submitting commands. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../common/properties.h"
#include "actions.h"
#include "common/show.h"
#include "words.h"

typedef struct task_batch {
    mf_task_spec *tasks; /* strings are the batch's */
    size_t count;
    int64_t not_before_us;
    int status;
} task_batch;

static char *make_id(const char *prefix, size_t number)
{
    char *id;
    uint64_t random;

    if (prefix != NULL)
        return asprintf(&id, "%s-%zu", prefix, number) < 0 ? NULL : id;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return NULL;
    return asprintf(&id, "%016" PRIx64, random) < 0 ? NULL : id;
}

/* Takes `id`. */
static int add_task(task_batch *batch, char *id, char **arguments)
{
    mf_task_spec *larger = realloc(batch->tasks, (batch->count + 1) * sizeof *larger);
    if (larger != NULL)
        batch->tasks = larger;
    char *properties = properties_format(arguments);
    if (larger == NULL || id == NULL || properties == NULL) {
        fprintf(stderr, "koalemosctl: out of memory\n");
        free(id);
        free(properties);
        return 1;
    }
    batch->tasks[batch->count++] =
        (mf_task_spec){.id = id, .properties = properties, .not_before_us = batch->not_before_us};
    return 0;
}

static void clear(task_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        free((char *)batch->tasks[i].id);
        free((char *)batch->tasks[i].properties);
    }
    free(batch->tasks);
}

static void on_submitted(const mf_error *error, const mf_item_result *items, size_t count,
                         void *arg)
{
    task_batch *batch = arg;

    if (error != NULL) {
        show_complaint(NULL, error->text);
        batch->status = 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].code == MF_OK) {
            show(stdout, items[i].id);
            putchar('\n');
            continue;
        }
        if (error == NULL || items[i].code != error->code)
            show_complaint(items[i].id, mf_strerror(items[i].code));
        batch->status = 1;
    }
}

static int submit(mf_client *client, task_batch *batch)
{
    mf_error error;

    if (batch->count == 0)
        return 0;
    if (mf_client_submit(client, batch->tasks, batch->count, on_submitted, batch, &error) !=
        MF_OK) {
        show_complaint(NULL, error.text);
        return 1;
    }
    mf_client_wait(client, NULL);
    return batch->status;
}

int action_submit(const action_order *order)
{
    task_batch batch = {.not_before_us = order->not_before_us};
    char *id = order->id != NULL ? strdup(order->id) : make_id(NULL, 0);

    int status = add_task(&batch, id, order->operands);
    if (status == 0)
        status = submit(order->client, &batch);
    clear(&batch);
    return status;
}

static int add_line(task_batch *batch, const char *line, size_t number, const char *prefix)
{
    char **words = NULL;
    char why[64];

    int count = words_split(&words, line, why, sizeof why);
    if (count < 0) {
        fprintf(stderr, "koalemosctl: line %zu: %s\n", number, why);
        return 1;
    }
    int status = count > 0 ? add_task(batch, make_id(prefix, batch->count + 1), words) : 0;
    words_free(words);
    return status;
}

int action_batch(const action_order *order)
{
    const char *path = order->subject;
    task_batch batch = {.not_before_us = order->not_before_us};
    char *line = NULL;
    size_t size = 0;
    int status = 0;

    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "koalemosctl: %s: %s\n", path, strerror(errno));
        return 1;
    }
    for (size_t number = 1; status == 0 && getline(&line, &size, file) >= 0; number++)
        status = add_line(&batch, line, number, order->id);
    if (status == 0)
        status = submit(order->client, &batch);
    free(line);
    if (file != stdin)
        fclose(file);
    clear(&batch);
    return status;
}
