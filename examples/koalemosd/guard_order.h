/* The order to start a command, as the daemon sends it and the guard reads it. */
#ifndef KOALEMOSD_GUARD_ORDER_H
#define KOALEMOSD_GUARD_ORDER_H

#include <event2/buffer.h>

#include "wire.h"

typedef struct start_order {
    start_head head;
    const char *task, *output, *node;
    char **arguments;   /* ends with NULL */
    char **environment; /* ends with NULL; see start_order_environment */
    char *block;        /* what the strings point into, when read */
    char *own[4];       /* strings made for the environment */
} start_order;

/* Appends the order, head and strings, as a frame; the argument count is taken from the array.
 * Returns 0, or -1: out of memory. */
int start_order_add(struct evbuffer *out, const start_order *order);

/* Reads a frame's payload into *order, to be cleared. 0, or -1: out of memory, or not an order. */
int start_order_read(start_order *order, const void *payload, size_t size);

/* Makes the command's environment: this process's own, METAFORA_TASK, METAFORA_FENCE and
 * METAFORA_NODE, and the mark. 0, or -1: out of memory. */
int start_order_environment(start_order *order, const char *mark);

void start_order_clear(start_order *order);

#endif
