/* The guard's table of processes. */
#include "process/wards.h"

#include <stdlib.h>
#include <string.h>

static mf__ward **bucket(const mf__wards *table, pid_t pid)
{
    return (mf__ward **)&table->by_pid[(size_t)pid % WARD_BUCKETS];
}

static int make_room(mf__wards *table, uint32_t slot)
{
    size_t slots = table->slots != 0 ? table->slots : 64;
    while (slots <= slot)
        slots *= 2;
    if (slots == table->slots)
        return 0;
    mf__ward **larger = realloc(table->by_slot, slots * sizeof *larger);
    if (larger == NULL)
        return -1;
    memset(larger + table->slots, 0, (slots - table->slots) * sizeof *larger);
    table->by_slot = larger;
    table->slots = slots;
    return 0;
}

void mf__wards_init(mf__wards *table)
{
    memset(table, 0, sizeof *table);
    TAILQ_INIT(&table->waiting);
}

static void free_ward(mf__ward *ward)
{
    if (ward == NULL)
        return;
    free(ward->task);
    free(ward->node);
    free(ward);
}

mf__ward *mf__wards_add(mf__wards *table, mf__start_order *order)
{
    uint32_t slot = order->head.slot;

    if (make_room(table, slot) != 0 || table->by_slot[slot] != NULL)
        return NULL;
    mf__ward *ward = calloc(1, sizeof *ward);
    if (ward == NULL || (ward->task = strdup(order->task)) == NULL ||
        (ward->node = strdup(order->node)) == NULL) {
        free_ward(ward);
        return NULL;
    }
    ward->slot = slot;
    ward->serial = ++table->serial;
    ward->order = *order;
    ward->fence = order->head.fence;
    ward->deadline_us = order->head.deadline_us;
    table->by_slot[slot] = ward;
    TAILQ_INSERT_TAIL(&table->waiting, ward, waiting);
    table->count++;
    return ward;
}

static void stop_waiting(mf__wards *table, mf__ward *ward)
{
    if (ward->state != WARD_WAITING)
        return;
    TAILQ_REMOVE(&table->waiting, ward, waiting);
    mf__start_order_clear(&ward->order);
}

void mf__wards_set_running(mf__wards *table, mf__ward *ward, pid_t pid)
{
    stop_waiting(table, ward);
    ward->state = WARD_RUNNING;
    ward->pid = pid;
    ward->next_by_pid = *bucket(table, pid);
    *bucket(table, pid) = ward;
    table->running++;
}

static void forget_pid(mf__wards *table, mf__ward *gone)
{
    for (mf__ward **at = bucket(table, gone->pid); *at != NULL; at = &(*at)->next_by_pid) {
        if (*at == gone) {
            *at = gone->next_by_pid;
            return;
        }
    }
}

/* From here on the process id may be another process's. */
void mf__wards_set_ended(mf__wards *table, mf__ward *ward)
{
    stop_waiting(table, ward);
    if (ward->state == WARD_RUNNING) {
        forget_pid(table, ward);
        table->running--;
    }
    ward->state = WARD_ENDED;
}

void mf__wards_remove(mf__wards *table, mf__ward *ward)
{
    mf__wards_set_ended(table, ward);
    table->by_slot[ward->slot] = NULL;
    table->count--;
    free_ward(ward);
}

mf__ward *mf__wards_by_slot(const mf__wards *table, uint32_t slot)
{
    return slot < table->slots ? table->by_slot[slot] : NULL;
}

mf__ward *mf__wards_by_pid(const mf__wards *table, pid_t pid)
{
    mf__ward *at = *bucket(table, pid);
    while (at != NULL && at->pid != pid)
        at = at->next_by_pid;
    return at;
}

mf__ward *mf__wards_ended_group(const mf__wards *table, pid_t group)
{
    if (mf__wards_by_pid(table, group) != NULL)
        return NULL; /* it is a running one's now */
    for (size_t slot = 0; slot < table->slots; slot++) {
        mf__ward *ward = table->by_slot[slot];
        if (ward != NULL && ward->state == WARD_ENDED && ward->pid == group)
            return ward;
    }
    return NULL;
}
