/* This program's end of a socket to the guard or the scribe. */
#include "process/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

enum { READ_AT_MOST = 65536, VECTORS = 16 };

static void lose(mf__channel *me)
{
    if (me->gone)
        return;
    me->gone = true;
    event_del(me->readable);
    event_del(me->writable);
    evbuffer_drain(me->out, evbuffer_get_length(me->out));
    if (me->on_gone != NULL)
        me->on_gone(me->arg);
}

/* Returns 0 when all has gone, or -1 with errno. */
static int transmit(mf__channel *me, int flags)
{
    while (evbuffer_get_length(me->out) != 0) {
        struct evbuffer_iovec parts[VECTORS];
        int count = evbuffer_peek(me->out, -1, NULL, parts, VECTORS);
        struct msghdr message = {.msg_iov = parts,
                                 .msg_iovlen = count < VECTORS ? (size_t)count : VECTORS};
        ssize_t sent = sendmsg(me->socket, &message, MSG_NOSIGNAL | flags);
        if (sent >= 0)
            evbuffer_drain(me->out, (size_t)sent);
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

static void on_writable(evutil_socket_t socket, short what, void *arg)
{
    mf__channel *me = arg;

    (void)socket;
    (void)what;
    if (transmit(me, MSG_DONTWAIT) == 0)
        return;
    if (errno == EAGAIN)
        event_add(me->writable, NULL);
    else
        lose(me);
}

static void on_readable(evutil_socket_t socket, short what, void *arg)
{
    mf__channel *me = arg;
    int got = evbuffer_read(me->in, socket, READ_AT_MOST);

    (void)what;
    if (got > 0 && me->on_data != NULL)
        me->on_data(me->arg);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        lose(me);
}

int mf__channel_open(mf__channel *me, int socket, struct event_base *base)
{
    me->socket = socket;
    me->in = evbuffer_new();
    me->out = evbuffer_new();
    if (me->in == NULL || me->out == NULL)
        return -1;
    if (socket < 0) {
        me->gone = true;
        return 0;
    }
    evutil_make_socket_nonblocking(socket);
    me->readable = event_new(base, socket, EV_READ | EV_PERSIST, on_readable, me);
    me->writable = event_new(base, socket, EV_WRITE, on_writable, me);
    if (me->readable == NULL || me->writable == NULL)
        return -1;
    return event_add(me->readable, NULL);
}

void mf__channel_send(mf__channel *me)
{
    if (me->gone)
        evbuffer_drain(me->out, evbuffer_get_length(me->out));
    else
        event_add(me->writable, NULL);
}

void mf__channel_close(mf__channel *me, bool wait)
{
    if (me->socket >= 0 && !me->gone && me->out != NULL) {
        if (wait)
            fcntl(me->socket, F_SETFL, 0);
        transmit(me, 0);
    }
    if (me->readable != NULL)
        event_free(me->readable);
    if (me->writable != NULL)
        event_free(me->writable);
    if (me->in != NULL)
        evbuffer_free(me->in);
    if (me->out != NULL)
        evbuffer_free(me->out);
    if (me->socket >= 0)
        close(me->socket);
    memset(me, 0, sizeof *me);
    me->socket = -1;
}
