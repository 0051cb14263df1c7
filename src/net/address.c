/* Names to socket addresses, without blocking the loop. */
#include "net/address.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

/* getaddrinfo with NSS modules wants more than the smallest stack. */
#define LOOKUP_STACK (256 * 1024)

struct mf_lookup {
    atomic_int owners; /* the loop's side and the thread */
    int descriptor;
    atomic_bool ended; /* what follows may be read */
    int result;        /* of getaddrinfo */
    struct addrinfo *found;
    char port[8];
    char host[];
};

static void add(mf_addresses *out, const struct addrinfo *found)
{
    for (; found != NULL && out->count < MF_ADDRESS_MAX; found = found->ai_next) {
        mf_address *address = &out->list[out->count++];
        memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
        address->length = found->ai_addrlen;
    }
}

static void add_numeric(mf_addresses *out, const char *host, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];

    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &found) == 0) {
        add(out, found);
        freeaddrinfo(found);
    }
}

static void add_path(mf_addresses *out, const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&out->list[0].storage;

    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, strlen(path) + 1);
    out->list[0].length = sizeof *address;
    out->count = 1;
}

void mf__addresses_known(mf_addresses *out, const mf_endpoint *endpoint)
{
    memset(out, 0, sizeof *out);
    if (endpoint->path != NULL) {
        add_path(out, endpoint->path);
    } else if (strcasecmp(endpoint->host, "localhost") == 0) {
        add_numeric(out, "127.0.0.1", endpoint->port);
        add_numeric(out, "::1", endpoint->port);
    } else {
        add_numeric(out, endpoint->host, endpoint->port);
    }
}

void mf__lookup_drop(mf_lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->owners, 1) > 1)
        return;
    if (lookup->found != NULL)
        freeaddrinfo(lookup->found);
    close(lookup->descriptor);
    free(lookup);
}

static void *look_up(void *arg)
{
    mf_lookup *lookup = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};

    lookup->result = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
    atomic_store(&lookup->ended, true);
    eventfd_write(lookup->descriptor, 1);
    mf__lookup_drop(lookup);
    return NULL;
}

static int start_thread(mf_lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, LOOKUP_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread, &attributes, look_up, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

int mf__lookup_start(mf_lookup **out, const char *host, int port)
{
    size_t size = strlen(host) + 1;
    mf_lookup *lookup = calloc(1, sizeof *lookup + size);
    if (lookup == NULL)
        return ENOMEM;
    memcpy(lookup->host, host, size);
    snprintf(lookup->port, sizeof lookup->port, "%d", port);
    lookup->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&lookup->owners, 2);
    int code = lookup->descriptor < 0 ? errno : start_thread(lookup);
    if (code != 0) {
        if (lookup->descriptor >= 0)
            close(lookup->descriptor);
        free(lookup);
        return code;
    }
    *out = lookup;
    return 0;
}

int mf__lookup_descriptor(const mf_lookup *lookup)
{
    return lookup->descriptor;
}

const char *mf__lookup_result(const mf_lookup *lookup, mf_addresses *out)
{
    bool ended = atomic_load(&lookup->ended);
    assert(ended);
    (void)ended;
    memset(out, 0, sizeof *out);
    if (lookup->result != 0)
        return gai_strerror(lookup->result);
    add(out, lookup->found);
    return out->count != 0 ? NULL : "name has no address";
}
