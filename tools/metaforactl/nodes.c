/* The live nodes. */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

typedef struct reading {
    node_list *list;
    int status;
} reading;

static int by_name(const void *left, const void *right)
{
    return strcmp(((const mf_node *)left)->name, ((const mf_node *)right)->name);
}

static int keep(node_list *list, const mf_node *nodes, size_t count)
{
    list->nodes = calloc(count + 1, sizeof *list->nodes);
    for (size_t i = 0; list->nodes != NULL && i < count; i++) {
        mf_node *node = &list->nodes[i];
        *node = nodes[i];
        node->name = strdup(nodes[i].name);
        if (node->name == NULL)
            return MF_ENOMEM;
        list->count++;
        list->tasks += node->tasks;
        if (node->weight > 0)
            list->weight += node->weight;
    }
    return list->nodes != NULL ? MF_OK : MF_ENOMEM;
}

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    reading *me = arg;
    mf_error memory;

    if (error != NULL) {
        me->status = ctl_complain(error);
    } else if (keep(me->list, nodes, count) != MF_OK) {
        mf_error_set(&memory, MF_ENOMEM, "out of memory");
        me->status = ctl_complain(&memory);
    } else {
        qsort(me->list->nodes, count, sizeof *nodes, by_name);
    }
}

int node_list_read(node_list *out, ctl_run *ctl)
{
    reading me = {.list = out};
    mf_error error;

    *out = (node_list){0};
    int code = mf_client_nodes(ctl->client, on_nodes, &me, &error);
    int status = ctl_finish(ctl, code, &error, &me.status);
    if (status != CTL_DONE)
        node_list_clear(out);
    return status;
}

void node_list_clear(node_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((char *)list->nodes[i].name);
    free(list->nodes);
    *list = (node_list){0};
}

size_t node_list_find(const node_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->nodes[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

double node_share(const node_list *list, size_t at)
{
    double weight = list->nodes[at].weight;
    return weight > 0 ? (double)list->tasks * weight / list->weight : 0;
}

const char *node_status(const mf_node *node)
{
    return node->weight > 0 ? "ready" : node->weight < 0 ? "restarting" : "drained";
}
