/* metaforactl export: all tasks with their states, a JSON object a line.
 *
 * First the tasks, each page with a look at its states; then the states whose task is gone. Pages
 * go on while the looks are under way, and a line is written when both halves are there. */
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "bulk.h"
#include "commands.h"
#include "common/show.h"
#include "json.h"
#include "progress.h"

static const char *file;

static const option_entry options[] = {
    {"file", OPTION_TEXT, "FILE", &file, 0, 0, "write to FILE, which must not be there yet"},
};

typedef struct exporting {
    ctl_run *ctl;
    json out;
    uint64_t tasks, ended, damaged;
    size_t looks; /* under way */
    progress_line progress;
    int status;
} exporting;

/* Tasks whose states are being looked up, or states whose tasks are: their texts are kept. */
typedef struct page {
    exporting *run;
    bulk_chunk half;
    size_t at; /* the first that has no answer yet */
} page;

static void fail(exporting *run, const mf_error *error)
{
    if (run->status == CTL_DONE)
        run->status = ctl_complain(error);
}

static void end_page(page *me)
{
    me->run->looks--;
    bulk_clear(&me->half);
    free(me);
}

static void put_line(exporting *run, const char *id, const char *properties, bool is_task,
                     const char *state)
{
    json_open(&run->out, NULL, '{');
    json_text(&run->out, "id", id);
    if (properties != NULL)
        json_raw(&run->out, "properties", properties);
    if (state != NULL)
        json_raw(&run->out, "state", state);
    if (!is_task)
        json_flag(&run->out, "ended", true);
    json_close(&run->out, '}');
    json_line(&run->out);
    run->tasks += is_task;
    run->ended += !is_task;
    progress_show(&run->progress, run->tasks + run->ended, 0, 0);
}

static void tell_damaged(exporting *run, const char *id, const char *what)
{
    run->damaged++;
    run->status = ctl_worse(run->status, CTL_NOT_ALL);
    progress_end(&run->progress);
    show_complaint(id, what);
}

/* A page whose other half is asked for; NULL: told. */
static page *new_page(exporting *run)
{
    page *me = calloc(1, sizeof *me);
    mf_error error;

    if (me == NULL) {
        mf_error_set(&error, MF_ENOMEM, "out of memory");
        fail(run, &error);
        return NULL;
    }
    me->run = run;
    run->looks++;
    return me;
}

/* The answers of a look come in the order of what was asked. */

static void on_states_of(const mf_error *error, const mf_state_record *states, size_t count,
                         bool last, void *arg)
{
    page *me = arg;
    exporting *run = me->run;

    if (error != NULL)
        fail(run, error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        const mf_task_spec *task = &me->half.tasks[me->at++];
        if (states[i].code == MF_EDAMAGED)
            tell_damaged(run, task->id, "its state is damaged, and left out");
        put_line(run, task->id, task->properties, true,
                 states[i].code == MF_OK ? states[i].json : NULL);
    }
    if (last || error != NULL)
        end_page(me);
}

static void on_task_page(const mf_error *error, const mf_task_record *tasks, size_t count,
                         bool last, void *arg)
{
    exporting *run = arg;
    mf_error fault;

    (void)last;
    if (error != NULL)
        fail(run, error);
    if (error != NULL || count == 0 || run->status > CTL_NOT_ALL)
        return;
    page *me = new_page(run);
    if (me == NULL)
        return;
    int code = MF_OK;
    for (size_t i = 0; i < count && code == MF_OK; i++) {
        if (tasks[i].code != MF_OK)
            tell_damaged(run, tasks[i].id, "is damaged, and left out");
        else
            code = bulk_add(&me->half,
                            &(mf_task_spec){.id = tasks[i].id, .properties = tasks[i].properties},
                            &fault);
    }
    if (code == MF_OK && me->half.count > 0)
        code = mf_client_lookup_states(run->ctl->client, me->half.ids, me->half.count, on_states_of,
                                       me, &fault);
    if (code != MF_OK)
        fail(run, &fault);
    if (code != MF_OK || me->half.count == 0)
        end_page(me);
}

static void on_tasks_of(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                        void *arg)
{
    page *me = arg;

    if (error != NULL)
        fail(me->run, error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        const mf_task_spec *state = &me->half.tasks[me->at++];
        if (tasks[i].code == MF_EGONE)
            put_line(me->run, state->id, NULL, false, state->properties);
    }
    if (last || error != NULL)
        end_page(me);
}

static void on_state_page(const mf_error *error, const mf_state_record *states, size_t count,
                          bool last, void *arg)
{
    exporting *run = arg;
    mf_error fault;

    (void)last;
    if (error != NULL)
        fail(run, error);
    if (error != NULL || count == 0 || run->status > CTL_NOT_ALL)
        return;
    page *me = new_page(run);
    if (me == NULL)
        return;
    int code = MF_OK;
    for (size_t i = 0; i < count && code == MF_OK; i++)
        if (states[i].code == MF_OK && mf_state_is_terminal(states[i].state->code))
            code =
                bulk_add(&me->half,
                         &(mf_task_spec){.id = states[i].id, .properties = states[i].json}, &fault);
    if (code == MF_OK && me->half.count > 0)
        code = mf_client_lookup(run->ctl->client, me->half.ids, me->half.count, on_tasks_of, me,
                                &fault);
    if (code != MF_OK)
        fail(run, &fault);
    if (code != MF_OK || me->half.count == 0)
        end_page(me);
}

static void finish_pages(exporting *run, int code, const mf_error *error)
{
    if (code != MF_OK)
        fail(run, error);
    do
        mf_client_wait(run->ctl->client, NULL);
    while (run->looks > 0);
}

static void read_all(exporting *run)
{
    mf_error error;

    progress_begin(&run->progress, "exported");
    finish_pages(run, mf_client_tasks(run->ctl->client, on_task_page, run, &error), &error);
    if (run->status <= CTL_NOT_ALL)
        finish_pages(run, mf_client_states(run->ctl->client, 0, on_state_page, run, &error),
                     &error);
    progress_end(&run->progress);
}

static int complain_of_file(void)
{
    mf_error error;
    mf_error_set(&error, MF_ESYSTEM, "--file: %.150s: %m", file);
    return ctl_complain(&error);
}

static int run(ctl_run *ctl, char **operands)
{
    exporting me = {.ctl = ctl, .out.to = stdout};

    (void)operands;
    if (file != NULL)
        me.out.to = fopen(file, "wxe");
    if (me.out.to == NULL)
        return complain_of_file();
    read_all(&me);
    if (file != NULL && (fclose(me.out.to) != 0) && me.status <= CTL_NOT_ALL)
        me.status = complain_of_file();
    if (file != NULL && me.status <= CTL_NOT_ALL)
        printf("%llu tasks, %llu states of ended tasks, %llu damaged\n",
               (unsigned long long)me.tasks, (unsigned long long)me.ended,
               (unsigned long long)me.damaged);
    return me.status;
}

const ctl_command command_export = {
    .name = "export",
    .usage = "[options]",
    .summary = "Writes all tasks with their properties and states, a JSON object a line.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
