/* The order to start a command: to bytes and back. */
#include "process/order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

static int add_string(struct evbuffer *out, const char *text)
{
    return evbuffer_add(out, text, strlen(text) + 1);
}

int mf__start_order_add(struct evbuffer *out, const mf__start_order *order)
{
    struct evbuffer *body = evbuffer_new();
    mf__start_head head = order->head;
    int code = -1;

    if (body == NULL)
        return -1;
    for (head.argument_count = 0; order->arguments[head.argument_count] != NULL;)
        head.argument_count++;
    if (evbuffer_add(body, &head, sizeof head) != 0 || add_string(body, order->task) != 0 ||
        add_string(body, order->output) != 0 || add_string(body, order->node) != 0)
        goto out;
    for (char **at = order->arguments; *at != NULL; at++)
        if (add_string(body, *at) != 0)
            goto out;

    mf__frame_head frame = {FRAME_START, (uint32_t)evbuffer_get_length(body)};
    if (evbuffer_prepend(body, &frame, sizeof frame) == 0 && evbuffer_add_buffer(out, body) == 0)
        code = 0;
out:
    evbuffer_free(body);
    return code;
}

static const char *next_string(const char **at, const char *end)
{
    const char *text = *at;
    const char *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
    if (nul == NULL)
        return NULL;
    *at = nul + 1;
    return text;
}

int mf__start_order_read(mf__start_order *order, const void *payload, size_t size)
{
    memset(order, 0, sizeof *order);
    if (size < sizeof order->head)
        return -1;
    memcpy(&order->head, payload, sizeof order->head);
    order->block = malloc(size);
    order->arguments = calloc(order->head.argument_count + 1, sizeof(char *));
    if (order->block == NULL || order->arguments == NULL)
        goto fail;
    memcpy(order->block, payload, size);

    const char *at = order->block + sizeof order->head, *end = order->block + size;
    order->task = next_string(&at, end);
    order->output = next_string(&at, end);
    order->node = next_string(&at, end);
    if (order->node == NULL)
        goto fail;
    for (uint32_t i = 0; i < order->head.argument_count; i++) {
        order->arguments[i] = (char *)next_string(&at, end);
        if (order->arguments[i] == NULL)
            goto fail;
    }
    return 0;
fail:
    mf__start_order_clear(order);
    return -1;
}

int mf__start_order_environment(mf__start_order *order, const char *mark)
{
    size_t count = 0, used = 0;

    while (environ[count] != NULL)
        count++;
    order->environment = calloc(count + 5, sizeof(char *));
    if (order->environment == NULL)
        return -1;
    /* Our own variables may be there already: of a the program that runs this one. */
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "METAFORA_", 9) != 0)
            order->environment[used++] = environ[i];

    if (asprintf(&order->own[0], "METAFORA_TASK=%s", order->task) < 0 ||
        asprintf(&order->own[1], "METAFORA_FENCE=%" PRIu64, order->head.fence) < 0 ||
        asprintf(&order->own[2], "METAFORA_NODE=%s", order->node) < 0)
        return -1;
    order->own[3] = strdup(mark);
    for (size_t i = 0; i < 4; i++)
        order->environment[used++] = order->own[i];
    return order->own[3] != NULL ? 0 : -1;
}

void mf__start_order_clear(mf__start_order *order)
{
    for (size_t i = 0; i < 4; i++)
        free(order->own[i]);
    free(order->environment);
    free(order->arguments);
    free(order->block);
    memset(order, 0, sizeof *order);
}
