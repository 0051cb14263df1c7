/* Nodes of a cluster that can be asked where the namespace is. */
#include "seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEARNED_MOST = 256, PORT_MOST = 65535 };

void mf__seeds_init(mf_seeds *seeds, const mf_endpoint *given, size_t count)
{
    *seeds = (mf_seeds){.given = given, .given_count = count, .count = count};
}

static void forget(mf_endpoint *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)list[i].host);
    free(list);
}

void mf__seeds_clear(mf_seeds *seeds)
{
    forget(seeds->learned, seeds->learned_count);
    free(seeds->list);
    *seeds = (mf_seeds){0};
}

static bool has(const mf_endpoint *list, size_t count, const mf_endpoint *endpoint)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].port == endpoint->port && strcmp(list[i].host, endpoint->host) == 0)
            return true;
    return false;
}

/* A node is [host, port, id, ...]; a host that is not known is "", "?" or nil. */
static bool read_node(const mf_value *node, mf_endpoint *out)
{
    if (!mf__value_is_array(node, 2) || node->items[0].type != MF_VALUE_STRING ||
        node->items[1].type != MF_VALUE_INTEGER)
        return false;
    const char *host = node->items[0].text;
    int64_t port = node->items[1].integer;
    *out = (mf_endpoint){.host = host, .port = (int)port};
    return *host != '\0' && strcmp(host, "?") != 0 && port > 0 && port <= PORT_MOST;
}

static void add(const mf_seeds *seeds, mf_endpoint *list, size_t *count, const mf_value *node)
{
    mf_endpoint endpoint;

    if (*count == LEARNED_MOST || !read_node(node, &endpoint) ||
        has(seeds->given, seeds->given_count, &endpoint) || has(list, *count, &endpoint))
        return;
    endpoint.host = strdup(endpoint.host);
    if (endpoint.host != NULL)
        list[(*count)++] = endpoint;
}

/* Ranges are [first slot, last slot, master, replica...]. */
void mf__seeds_learn(mf_seeds *seeds, const mf_value *slots)
{
    mf_endpoint *list = calloc(LEARNED_MOST, sizeof *list);
    size_t count = 0;

    if (list == NULL || !mf__value_is_array(slots, 1)) {
        free(list);
        return;
    }
    for (size_t i = 0; i < slots->length; i++) {
        const mf_value *range = &slots->items[i];
        for (size_t j = 2; mf__value_is_array(range, j + 1); j++)
            add(seeds, list, &count, &range->items[j]);
    }
    forget(seeds->learned, seeds->learned_count);
    seeds->learned = list;
    seeds->learned_count = count;
    seeds->count = seeds->given_count + count;
}

size_t mf__seeds_list(mf_seeds *seeds, const mf_endpoint *first, const mf_endpoint **out)
{
    mf_endpoint *list = realloc(seeds->list, (seeds->count + 1) * sizeof *list);
    size_t count = 0;

    if (list == NULL)
        return 0;
    seeds->list = list;
    if (first != NULL)
        list[count++] = *first;
    for (size_t i = 0; i < seeds->given_count; i++)
        list[count++] = seeds->given[i];
    for (size_t i = 0; i < seeds->learned_count; i++)
        list[count++] = seeds->learned[i];
    *out = list;
    return count;
}

/* The host of "host:port" or "[host]:port", without the brackets. */
static bool copy_host(const char *text, const char *colon, char *out, size_t size)
{
    if (text < colon && *text == '[' && colon[-1] == ']') {
        text++;
        colon--;
    }
    return (size_t)snprintf(out, size, "%.*s", (int)(colon - text), text) < size && *out != '\0';
}

bool mf__seeds_parse_moved(const char *reply, const char *peer, char *host, size_t size, int *port)
{
    const char *space = strrchr(reply, ' '), *colon = strrchr(reply, ':');

    if (space == NULL || colon == NULL || colon < space)
        return false;
    long number = strtol(colon + 1, NULL, 10);
    const char *own = strrchr(peer, ':');
    if (number < 1 || number > PORT_MOST)
        return false;
    *port = (int)number;
    if (colon == space + 1 || space[1] == '?')
        return own != NULL && copy_host(peer, own, host, size);
    return copy_host(space + 1, colon, host, size);
}

bool mf__seeds_is(const mf_endpoint *endpoint, const char *peer)
{
    char host[256];
    const char *colon = strrchr(peer, ':');

    return colon != NULL && copy_host(peer, colon, host, sizeof host) &&
           strcmp(host, endpoint->host) == 0 && atoi(colon + 1) == endpoint->port;
}
