/* Dialing one endpoint: its name is resolved and its addresses are tried in turn. */
#include "net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"
#include "net/text.h"

/* A peer host that vanished without a word is noticed by the system as well, should the protocol
 * above owe it nothing. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3
#define USER_TIMEOUT_MS 30000

static void try_next(mf_dial *dial);

void mf__dial_init(mf_dial *dial, mf_loop *loop, mf_dial_fn done, void *arg)
{
    memset(dial, 0, sizeof *dial);
    dial->loop = loop;
    dial->done = done;
    dial->arg = arg;
    dial->descriptor = -1;
}

void mf__dial_stop(mf_dial *dial)
{
    if (dial->event != NULL)
        event_free(dial->event);
    if (dial->lookup != NULL)
        mf__lookup_drop(dial->lookup);
    if (dial->descriptor >= 0)
        close(dial->descriptor);
    dial->event = NULL;
    dial->lookup = NULL;
    dial->descriptor = -1;
}

static void fail(mf_dial *dial)
{
    mf__dial_stop(dial);
    dial->done(-1, dial->why, dial->arg);
}

static void succeed(mf_dial *dial)
{
    int descriptor = dial->descriptor;
    dial->descriptor = -1;
    mf__dial_stop(dial);
    dial->done(descriptor, NULL, dial->arg);
}

/* Waits for the descriptor, at most for `parts`' share of the time that is left. */
static int wait_for(mf_dial *dial, int descriptor, short what, event_callback_fn fn, size_t parts)
{
    int64_t left = dial->deadline_us - mf_loop_now_us(dial->loop);
    left = left > 0 ? left / (int64_t)parts : 0;
    struct timeval limit = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};

    dial->event = event_new(mf_loop_event_base(dial->loop), descriptor, what, fn, dial);
    return dial->event != NULL && event_add(dial->event, &limit) == 0 ? 0 : ENOMEM;
}

static void on_connected(evutil_socket_t descriptor, short what, void *arg)
{
    mf_dial *dial = arg;
    int code = ETIMEDOUT;
    socklen_t size = sizeof code;

    if ((what & EV_TIMEOUT) == 0 && getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
        code = errno;
    event_free(dial->event);
    dial->event = NULL;
    if (code == 0) {
        succeed(dial);
        return;
    }
    mf__text_of_errno(dial->why, sizeof dial->why, code);
    close(dial->descriptor);
    dial->descriptor = -1;
    try_next(dial);
}

static void set_options(int descriptor)
{
    const struct {
        int level, name, value;
    } wanted[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        setsockopt(descriptor, wanted[i].level, wanted[i].name, &wanted[i].value, sizeof(int));
}

/* Returns 0, EINPROGRESS, or why it cannot be. */
static int begin_connect(mf_dial *dial, const mf_address *address)
{
    int family = address->storage.ss_family;

    dial->descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->descriptor < 0)
        return errno;
    if (family != AF_UNIX)
        set_options(dial->descriptor);
    if (connect(dial->descriptor, (const struct sockaddr *)&address->storage, address->length) == 0)
        return 0;
    return errno;
}

static void try_next(mf_dial *dial)
{
    while (dial->next < dial->addresses.count) {
        size_t parts = dial->addresses.count - dial->next;
        int code = begin_connect(dial, &dial->addresses.list[dial->next++]);
        if (code == 0) {
            succeed(dial);
            return;
        }
        if (code == EINPROGRESS)
            code = wait_for(dial, dial->descriptor, EV_WRITE, on_connected, parts);
        if (code == 0)
            return;
        mf__text_of_errno(dial->why, sizeof dial->why, code);
        mf__dial_stop(dial);
    }
    fail(dial);
}

static void on_resolved(evutil_socket_t descriptor, short what, void *arg)
{
    mf_dial *dial = arg;
    const char *why = "name not resolved in time";

    (void)descriptor;
    if ((what & EV_TIMEOUT) == 0)
        why = mf__lookup_result(dial->lookup, &dial->addresses);
    mf__dial_stop(dial);
    if (why != NULL) {
        mf__text_copy(dial->why, sizeof dial->why, why);
        fail(dial);
        return;
    }
    try_next(dial);
}

void mf__dial_start(mf_dial *dial, const mf_endpoint *endpoint, int64_t deadline_us)
{
    dial->endpoint = *endpoint;
    dial->deadline_us = deadline_us;
    dial->next = 0;
    mf__addresses_known(&dial->addresses, endpoint);
    if (dial->addresses.count != 0) {
        try_next(dial);
        return;
    }
    int code = mf__lookup_start(&dial->lookup, endpoint->host, endpoint->port);
    if (code == 0)
        code = wait_for(dial, mf__lookup_descriptor(dial->lookup), EV_READ, on_resolved, 1);
    if (code != 0) {
        mf__text_of_errno(dial->why, sizeof dial->why, code);
        fail(dial);
    }
}
