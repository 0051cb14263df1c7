/* metaforactl watch: tasks and nodes as they are now, again and again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "common/show.h"
#include "interrupt.h"
#include "json.h"
#include "nodes.h"
#include "records.h"
#include "table.h"

static int interval_s = 2, views;

static const option_entry options[] = {
    {"interval", OPTION_NUMBER, "S", &interval_s, 1, 86400, "seconds between two views (2)"},
    {"views", OPTION_NUMBER, "N", &views, 0, INT32_MAX, "end after N views (0: never)"},
};

enum { RUNNING, WAITING, SET_ASIDE, DAMAGED, STATUSES };
static const char *const names[STATUSES] = {"running", "waiting", "set-aside", "damaged"};

typedef struct view {
    uint64_t tasks, by_status[STATUSES];
    node_list nodes;
    int status;
} view;

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    view *me = arg;

    (void)last;
    if (error != NULL)
        me->status = ctl_complain(error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        me->tasks++;
        for (int status = 0; status < STATUSES; status++)
            me->by_status[status] += strcmp(record_status(&tasks[i]), names[status]) == 0;
    }
}

static int look(view *me, ctl_run *ctl)
{
    mf_error error;

    *me = (view){0};
    int code = mf_client_tasks(ctl->client, on_tasks, me, &error);
    int status = ctl_finish(ctl, code, &error, &me->status);
    return status == CTL_DONE ? node_list_read(&me->nodes, ctl) : status;
}

static void put(const view *me)
{
    json out = {.to = stdout};

    json_open(&out, NULL, '{');
    json_count(&out, "tasks", me->tasks);
    for (int status = 0; status < STATUSES; status++)
        json_count(&out, names[status], me->by_status[status]);
    json_open(&out, "nodes", '[');
    for (size_t i = 0; i < me->nodes.count; i++) {
        json_open(&out, NULL, '{');
        json_text(&out, "node", me->nodes.nodes[i].name);
        json_count(&out, "tasks", me->nodes.nodes[i].tasks);
        json_number(&out, "share", node_share(&me->nodes, i));
        json_text(&out, "status", node_status(&me->nodes.nodes[i]));
        json_close(&out, '}');
    }
    json_close(&out, ']');
    json_close(&out, '}');
    json_line(&out);
}

static void show_nodes(const view *me, const view *before)
{
    static const table_column columns[] = {
        {"NODE", false}, {"TASKS", true}, {"CHANGE", true}, {"SHARE", true}, {"STATUS", false}};
    text_table *rows = table_new(stdout, columns, sizeof columns / sizeof *columns);

    for (size_t i = 0; i < me->nodes.count; i++) {
        const mf_node *node = &me->nodes.nodes[i];
        size_t at = node_list_find(&before->nodes, node->name);
        table_text(rows, node->name);
        table_count(rows, node->tasks);
        table_number(
            rows, at == SIZE_MAX ? 0 : (double)node->tasks - (double)before->nodes.nodes[at].tasks);
        table_number(rows, node_share(&me->nodes, i));
        table_text(rows, node_status(node));
    }
    table_end(rows);
}

/* On a terminal each view takes the place of the one before. */
static void show_view(const ctl_run *ctl, const view *me, const view *before, bool on_terminal)
{
    char text[32];
    time_t now = time(NULL);
    struct tm parts;

    strftime(text, sizeof text, "%H:%M:%SZ", gmtime_r(&now, &parts));
    if (on_terminal)
        fputs("\x1b[H\x1b[J", stdout);
    show(stdout, ctl->name_space);
    printf("  %s\n%llu tasks:", text, (unsigned long long)me->tasks);
    for (int status = 0; status < STATUSES; status++)
        printf("%s %llu %s", status > 0 ? "," : "", (unsigned long long)me->by_status[status],
               names[status]);
    printf("\n\n");
    show_nodes(me, before);
    if (!on_terminal)
        putchar('\n');
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* At least four times as long as the look took: the watcher is no load. */
static void pause_after(double look_s)
{
    double pause_s = look_s * 4 > interval_s ? look_s * 4 : interval_s;
    struct timespec pause = {.tv_sec = (time_t)pause_s};

    pause.tv_nsec = (long)((pause_s - (double)pause.tv_sec) * 1e9);
    if (!interrupt_came())
        nanosleep(&pause, NULL);
}

static int watch(ctl_run *ctl, bool on_terminal)
{
    view before = {0}, now;
    double look_s = 0;
    int status = CTL_DONE;

    for (int shown = 0; !interrupt_came() && (views == 0 || shown < views); shown++) {
        if (shown > 0)
            pause_after(look_s);
        if (interrupt_came())
            break;
        double begun = now_s();
        status = look(&now, ctl);
        look_s = now_s() - begun;
        if (status != CTL_DONE)
            break;
        if (ctl->json)
            put(&now);
        else
            show_view(ctl, &now, &before, on_terminal);
        fflush(stdout);
        node_list_clear(&before.nodes);
        before = now;
    }
    node_list_clear(&before.nodes);
    return status;
}

static int run(ctl_run *ctl, char **operands)
{
    bool on_terminal = !ctl->json && isatty(STDOUT_FILENO);

    (void)operands;
    interrupt_catch();
    return watch(ctl, on_terminal);
}

const ctl_command command_watch = {
    .name = "watch",
    .usage = "[options]",
    .summary = "Shows the numbers of tasks and the nodes, again and again.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
