/* The scribe: one frame is one line. */
#include "process/scribe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "process/descriptors.h"
#include "process/output.h"
#include "process/wire.h"

enum { MOST_WAITING = 1024 * 1024 };

typedef struct scribe {
    struct pollfd from[2];
    struct evbuffer *in[2];
    int event_log;
} scribe;

/* What cannot be written is lost: there is nobody to tell. */
static void write_text(int file, const char *text, size_t length)
{
    if (file >= 0 && write(file, text, length) < 0)
        return;
}

/* The payload is a path and a text, each with its NUL; the event log has no path. */
static void write_line(const scribe *me, const char *payload, size_t size)
{
    const char *text = payload + strlen(payload) + 1;
    size_t length = size - (size_t)(text - payload) - 1;

    if (payload[0] == '\0') {
        write_text(me->event_log, text, length);
        return;
    }
    int file = open(payload, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    write_text(file, text, length);
    if (file >= 0)
        close(file);
}

static void take(scribe *me, int which)
{
    const void *payload;
    size_t size;

    int got = evbuffer_read(me->in[which], me->from[which].fd, 65536);
    while (mf__frame_peek(me->in[which], &payload, &size) != 0) {
        write_line(me, payload, size);
        mf__frame_drain(me->in[which], size);
    }
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
        me->from[which].fd = -1;
}

static _Noreturn void run(int sockets[2], int event_log)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};
    int kept[] = {sockets[0], sockets[1], event_log};

    setsid();
    prctl(PR_SET_NAME, "metafora-scribe");
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    if (mf__descriptors_keep(kept, 3) != 0)
        _exit(1);
    scribe me = {.from = {{kept[0], POLLIN, 0}, {kept[1], POLLIN, 0}},
                 .in = {evbuffer_new(), evbuffer_new()},
                 .event_log = kept[2]};
    if (me.in[0] == NULL || me.in[1] == NULL)
        _exit(1);
    while (me.from[0].fd >= 0 || me.from[1].fd >= 0) {
        if (poll(me.from, 2, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (me.from[i].fd >= 0 && me.from[i].revents != 0)
                take(&me, i);
    }
    _exit(0);
}

pid_t mf__scribe_start(int sockets[2], int event_log)
{
    pid_t pid = fork();
    if (pid == 0)
        run(sockets, event_log);
    return pid;
}

static void add_line(struct evbuffer *out, const char *path, const char *text)
{
    size_t path_size = strlen(path) + 1, text_size = strlen(text) + 1;
    mf__frame_head head = {FRAME_LINE, (uint32_t)(path_size + text_size)};

    if (evbuffer_get_length(out) > MOST_WAITING ||
        evbuffer_expand(out, sizeof head + head.size) != 0)
        return;
    evbuffer_add(out, &head, sizeof head);
    evbuffer_add(out, path, path_size);
    evbuffer_add(out, text, text_size);
}

void mf__scribe_event(struct evbuffer *out, const mf__event *event)
{
    char line[MF_EVENT_SIZE];

    mf__event_format(line, event);
    add_line(out, "", line);
}

void mf__scribe_note(struct evbuffer *out, const char *path, const char *text)
{
    char line[MF_NOTE_SIZE];

    mf__output_note(line, text);
    add_line(out, path, line);
}
