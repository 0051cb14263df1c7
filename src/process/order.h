/* The order to start a command, as the host sends it and the guard reads it. */
#ifndef MF_PROCESS_ORDER_H
#define MF_PROCESS_ORDER_H

#include "process/wire.h"

struct evbuffer;

typedef struct mf__start_order {
    mf__start_head head;
    const char *task, *output, *node;
    char **arguments;   /* ends with NULL */
    char **environment; /* ends with NULL; see mf__start_order_environment */
    char *block;        /* what the strings point into, when read */
    char *own[4];       /* strings made for the environment */
} mf__start_order;

/* Appends the order, head and strings, as a frame; the argument count is taken from the array.
 * Returns 0, or -1: out of memory. */
int mf__start_order_add(struct evbuffer *out, const mf__start_order *order);

/* Reads a frame's payload into *order, to be cleared. 0, or -1: out of memory, or not an order. */
int mf__start_order_read(mf__start_order *order, const void *payload, size_t size);

/* Makes the command's environment: this process's own, METAFORA_TASK, METAFORA_FENCE and
 * METAFORA_NODE, and the mark. 0, or -1: out of memory. */
int mf__start_order_environment(mf__start_order *order, const char *mark);

void mf__start_order_clear(mf__start_order *order);

#endif
