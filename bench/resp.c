/* The least client that Redis can have: what a floor is measured with. */
#include "resp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <metafora/driver.h>

#include "bench.h"

enum { BUFFER_SIZE = 1 << 18, REPLY_LIMIT_MS = 60000 };

typedef struct byte_buffer {
    char *bytes;
    size_t begin, end, size;
} byte_buffer;

struct resp {
    int descriptor;
    size_t owed;
    byte_buffer out, in;
};

static void make_room(byte_buffer *buffer, size_t more)
{
    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
    if (buffer->size - buffer->end >= more)
        return;
    if (buffer->begin != 0)
        memmove(buffer->bytes, buffer->bytes + buffer->begin, buffer->end - buffer->begin);
    buffer->end -= buffer->begin;
    buffer->begin = 0;
    if (buffer->size - buffer->end >= more)
        return;
    buffer->size = 2 * (buffer->size + more);
    buffer->bytes = realloc(buffer->bytes, buffer->size);
    if (buffer->bytes == NULL)
        bench_fail("out of memory");
}

/* Connecting. */

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        bench_fail("%s: path too long for a socket", path);
    strcpy(address.sun_path, path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0)
        bench_fail("%s: %s", path, strerror(errno));
    return descriptor;
}

static int connect_tcp(const char *host, int port)
{
    char service[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    snprintf(service, sizeof service, "%d", port);
    int code = getaddrinfo(host, service, &hints, &found);
    if (code != 0)
        bench_fail("%s: %s", host, gai_strerror(code));
    int descriptor = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, found->ai_addr, found->ai_addrlen) != 0)
        bench_fail("%s:%d: %s", host, port, strerror(errno));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    freeaddrinfo(found);
    return descriptor;
}

static void authenticate(resp *me, const mf_url *url)
{
    if (url->password == NULL)
        return;
    if (url->user != NULL && *url->user != '\0')
        resp_expect_ok(me, 3, (const char *[]){"AUTH", url->user, url->password});
    else
        resp_expect_ok(me, 2, (const char *[]){"AUTH", url->password});
}

resp *resp_open(const char *text)
{
    mf_url url;
    mf_error error;
    if (mf_url_parse(&url, text, &error) != MF_OK)
        bench_fail("%s", error.text);
    resp *me = bench_alloc(1, sizeof *me);
    make_room(&me->out, BUFFER_SIZE);
    make_room(&me->in, BUFFER_SIZE);
    if (strcmp(url.scheme, "unix") == 0)
        me->descriptor = connect_unix(url.path);
    else if (strcmp(url.scheme, "redis") == 0 && url.host_count == 1)
        me->descriptor =
            connect_tcp(url.hosts[0].host, url.hosts[0].port != 0 ? url.hosts[0].port : 6379);
    else
        bench_fail("%s: the minimal client cannot use such a URL", url.scheme);
    authenticate(me, &url);
    if (strcmp(url.scheme, "redis") == 0 && strlen(url.path) > 1)
        resp_expect_ok(me, 2, (const char *[]){"SELECT", url.path + 1});
    mf_url_clear(&url);
    return me;
}

void resp_close(resp *me)
{
    close(me->descriptor);
    free(me->out.bytes);
    free(me->in.bytes);
    free(me);
}

/* Commands. */

static void append_head(resp *me, char kind, size_t number)
{
    char digits[24];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    char *at = me->out.bytes + me->out.end;
    *at++ = kind;
    while (count > 0)
        *at++ = digits[--count];
    *at++ = '\r';
    *at++ = '\n';
    me->out.end = (size_t)(at - me->out.bytes);
}

void resp_begin(resp *me, size_t count)
{
    make_room(&me->out, 32);
    append_head(me, '*', count);
    me->owed++;
}

void resp_argument(resp *me, const char *text, size_t length)
{
    make_room(&me->out, 32 + length + 2);
    append_head(me, '$', length);
    memcpy(me->out.bytes + me->out.end, text, length);
    memcpy(me->out.bytes + me->out.end + length, "\r\n", 2);
    me->out.end += length + 2;
}

void resp_number(resp *me, long long number)
{
    char text[24];
    resp_argument(me, text, (size_t)snprintf(text, sizeof text, "%lld", number));
}

/* Replies. */

/* The end of the element at `at` with all that is in it, or NULL when some of it is not there yet.
 */
static const char *element_end(const char *at, const char *end)
{
    long left = 1;
    while (left > 0) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        if (line == NULL)
            return NULL;
        char kind = *at;
        long number = kind == '$' || kind == '*' ? strtol(at + 1, NULL, 10) : 0;
        at = line + 1;
        left--;
        if (kind == '*' && number > 0)
            left += number;
        if (kind == '$' && number >= 0) {
            if (end - at < number + 2)
                return NULL;
            at += number + 2;
        }
    }
    return at;
}

resp_value resp_next(resp_cursor *cursor)
{
    const char *at = cursor->at;
    const char *line = strchr(at, '\r');
    resp_value value = {.kind = *at, .text = at + 1, .length = (size_t)(line - at - 1)};
    cursor->at = line + 2;
    if (value.kind == '+' || value.kind == '-')
        return value;
    value.number = strtoll(at + 1, NULL, 10);
    if (value.kind != ':' && value.number < 0)
        value.kind = '_';
    if (value.kind == '$') {
        value.text = line + 2;
        value.length = (size_t)value.number;
        cursor->at = value.text + value.length + 2;
    }
    return value;
}

long long resp_next_number(resp_cursor *cursor)
{
    resp_value value = resp_next(cursor);
    if (value.kind == '$')
        return strtoll(value.text, NULL, 10);
    if (value.kind != ':')
        bench_fail("the server sent '%c' instead of a number", value.kind);
    return value.number;
}

void resp_pass(resp_cursor *cursor)
{
    for (long long left = 1; left > 0; left--) {
        resp_value value = resp_next(cursor);
        if (value.kind == '*')
            left += value.number;
    }
}

static void take_replies(resp *me, resp_fn fn, void *arg)
{
    while (me->owed > 0 && me->in.begin < me->in.end) {
        const char *at = me->in.bytes + me->in.begin;
        const char *end = element_end(at, me->in.bytes + me->in.end);
        if (end == NULL)
            return;
        if (*at == '-')
            bench_fail("the server says: %.*s", (int)(strchr(at, '\r') - at), at);
        me->in.begin = (size_t)(end - me->in.bytes);
        me->owed--;
        fn((resp_cursor){at}, arg);
    }
}

static void receive(resp *me)
{
    /* One byte is left for an end, where strchr and strtol stop. */
    make_room(&me->in, BUFFER_SIZE / 2);
    ssize_t got =
        recv(me->descriptor, me->in.bytes + me->in.end, me->in.size - me->in.end - 1, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        bench_fail("the server closed the connection");
    if (got > 0)
        me->in.end += (size_t)got;
    me->in.bytes[me->in.end] = '\0';
}

static void transmit(resp *me)
{
    ssize_t sent = send(me->descriptor, me->out.bytes + me->out.begin, me->out.end - me->out.begin,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        bench_fail("cannot send to the server: %s", strerror(errno));
    if (sent > 0)
        me->out.begin += (size_t)sent;
}

void resp_exchange(resp *me, size_t leave, resp_fn fn, void *arg)
{
    take_replies(me, fn, arg);
    while (me->out.begin < me->out.end || me->owed > leave) {
        if (me->out.begin < me->out.end)
            transmit(me);
        bool more = me->out.begin < me->out.end;
        if (!more && me->owed <= leave)
            break;
        struct pollfd ready = {.fd = me->descriptor,
                               .events = (short)(more ? POLLIN | POLLOUT : POLLIN)};
        if (poll(&ready, 1, REPLY_LIMIT_MS) == 0)
            bench_fail("no reply from the server within %d s", REPLY_LIMIT_MS / 1000);
        if (ready.revents & ~POLLOUT)
            receive(me);
        take_replies(me, fn, arg);
    }
}

static void keep(resp_cursor reply, void *arg)
{
    *(resp_cursor *)arg = reply;
}

resp_cursor resp_call(resp *me, size_t count, const char *const *arguments)
{
    resp_cursor reply = {NULL};
    resp_begin(me, count);
    for (size_t i = 0; i < count; i++)
        resp_argument(me, arguments[i], strlen(arguments[i]));
    resp_exchange(me, 0, keep, &reply);
    return reply;
}

void resp_expect_ok(resp *me, size_t count, const char *const *arguments)
{
    resp_cursor reply = resp_call(me, count, arguments);
    resp_value value = resp_next(&reply);
    if (value.kind != '+' || value.length != 2 || memcmp(value.text, "OK", 2) != 0)
        bench_fail("%s: the server did not answer OK", arguments[0]);
}
