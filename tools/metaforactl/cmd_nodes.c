/* metaforactl nodes, and node: the live nodes, one of them with its tasks. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "common/show.h"
#include "nodes.h"
#include "records.h"
#include "table.h"

static const table_column columns[] = {
    {"NODE", false}, {"TASKS", true}, {"WEIGHT", true}, {"SHARE", true}, {"STATUS", false}};

static void show_row(text_table *to, const node_list *list, size_t at)
{
    const mf_node *node = &list->nodes[at];

    table_text(to, node->name);
    table_count(to, node->tasks);
    table_number(to, node->weight);
    table_number(to, node_share(list, at));
    table_text(to, node_status(node));
}

static void put_members(json *out, const node_list *list, size_t at)
{
    const mf_node *node = &list->nodes[at];

    json_text(out, "node", node->name);
    json_count(out, "tasks", node->tasks);
    json_number(out, "weight", node->weight);
    json_number(out, "share", node_share(list, at));
    json_text(out, "status", node_status(node));
}

static int run_nodes(ctl_run *ctl, char **operands)
{
    json out = {.to = stdout};
    node_list list;

    (void)operands;
    int status = node_list_read(&list, ctl);
    if (status != CTL_DONE)
        return status;
    text_table *rows =
        ctl->json ? NULL : table_new(stdout, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < list.count; i++) {
        if (rows != NULL) {
            show_row(rows, &list, i);
            continue;
        }
        json_open(&out, NULL, '{');
        put_members(&out, &list, i);
        json_close(&out, '}');
        json_line(&out);
    }
    table_end(rows);
    node_list_clear(&list);
    return CTL_DONE;
}

const ctl_command command_nodes = {
    .name = "nodes",
    .usage = "[options]",
    .summary = "Lists the live nodes, what each holds, and its share by weight.",
    .run = run_nodes,
};

/* One node. */

typedef struct held_tasks {
    const char *node;
    text_table *table;
    json *json; /* NULL: the table */
    int status;
} held_tasks;

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    held_tasks *to = arg;

    (void)last;
    if (error != NULL)
        to->status = ctl_complain(error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        if (tasks[i].owner == NULL || strcmp(tasks[i].owner, to->node) != 0)
            continue;
        if (to->json != NULL) {
            json_open(to->json, NULL, '{');
            record_json(to->json, &tasks[i]);
            json_close(to->json, '}');
            continue;
        }
        table_text(to->table, tasks[i].id);
        table_count(to->table, tasks[i].fence);
        table_text(to->table,
                   tasks[i].code == MF_OK ? tasks[i].properties : mf_strerror(tasks[i].code));
    }
}

static int list_held(ctl_run *ctl, held_tasks *to)
{
    mf_error error;
    int code = mf_client_tasks(ctl->client, on_tasks, to, &error);
    return ctl_finish(ctl, code, &error, &to->status);
}

static int show_node(ctl_run *ctl, const node_list *list, size_t at)
{
    static const table_column task_columns[] = {
        {"ID", false}, {"FENCE", true}, {"PROPERTIES", false}};
    held_tasks to = {.node = list->nodes[at].name};
    text_table *self = table_new(stdout, columns, sizeof columns / sizeof *columns);

    show_row(self, list, at);
    table_end(self);
    putchar('\n');
    to.table = table_new(stdout, task_columns, sizeof task_columns / sizeof *task_columns);
    int status = list_held(ctl, &to);
    table_end(to.table);
    return status;
}

static int put_node(ctl_run *ctl, const node_list *list, size_t at)
{
    char *text;
    size_t size;
    json out = {.to = open_memstream(&text, &size)};
    held_tasks to = {.node = list->nodes[at].name, .json = &out};

    json_open(&out, NULL, '{');
    put_members(&out, list, at);
    json_open(&out, "held", '[');
    int status = list_held(ctl, &to);
    json_close(&out, ']');
    json_close(&out, '}');
    json_line(&out);
    fclose(out.to);
    if (status == CTL_DONE)
        fputs(text, stdout);
    free(text);
    return status;
}

static int run_node(ctl_run *ctl, char **operands)
{
    node_list list;
    int status = node_list_read(&list, ctl);

    if (status != CTL_DONE)
        return status;
    size_t at = node_list_find(&list, operands[0]);
    if (at == SIZE_MAX) {
        show_complaint(operands[0], mf_strerror(MF_ENONODE));
        status = CTL_NOT_ALL;
    } else {
        status = ctl->json ? put_node(ctl, &list, at) : show_node(ctl, &list, at);
    }
    node_list_clear(&list);
    return status;
}

const ctl_command command_node = {
    .name = "node",
    .usage = "[options] NAME",
    .summary = "Shows one node and the tasks that it has.",
    .least = 1,
    .most = 1,
    .run = run_node,
};
