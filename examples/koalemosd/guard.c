/* The daemon's end of the guard: orders out, reports in, and what to do when the guard is lost. */
#include "guard.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/bufferevent.h>

#include "events.h"
#include "guard_order.h"
#include "guard_process.h"
#include "scribe.h"
#include "strays.h"

enum { LOOK_AGAIN_MS = 10 };

typedef struct koa_slot {
    void *process; /* NULL: free */
    pid_t pid;     /* 0: not known yet */
    uint32_t next_free;
} koa_slot;

struct koa_guard {
    pid_t pid, scribe;
    int socket;
    char mark[40];
    char node[256];
    struct bufferevent *stream;
    struct event *look_again;
    const guard_events *events;
    void *arg;
    koa_slot *slots;
    uint32_t slot_count, first_free; /* first_free == slot_count: none */
    int unanswered;                  /* ticks without a pong */
    bool lost;
};

static int make_mark(char *mark, size_t size)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -1;
    snprintf(mark, size, "%016" PRIx64, random);
    return 0;
}

int guard_spawn(koa_guard **out, const char *node, const char *events_path)
{
    koa_event_log events = {.descriptor = -1};
    int ends[2] = {-1, -1};
    koa_guard *guard = calloc(1, sizeof *guard);

    if (guard == NULL || make_mark(guard->mark, sizeof guard->mark) != 0 ||
        event_log_open(&events, events_path, node) != 0 ||
        (guard->scribe = scribe_start(&events)) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        goto fail;
    guard->pid = fork();
    if (guard->pid < 0)
        goto fail;
    if (guard->pid == 0)
        guard_process_run(ends[1], &events, guard->mark);

    close(ends[1]);
    event_log_close(&events);
    guard->socket = ends[0];
    snprintf(guard->node, sizeof guard->node, "%s", node);
    *out = guard;
    return 0;
fail:
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
    }
    event_log_close(&events);
    free(guard);
    return -1;
}

static int grow(koa_guard *guard)
{
    uint32_t count = guard->slot_count != 0 ? guard->slot_count * 2 : 64;
    koa_slot *larger = realloc(guard->slots, count * sizeof *larger);
    if (larger == NULL)
        return -1;
    for (uint32_t i = guard->slot_count; i < count; i++)
        larger[i] = (koa_slot){.next_free = i + 1};
    guard->slots = larger;
    guard->slot_count = count;
    return 0;
}

static void *free_slot(koa_guard *guard, uint32_t number)
{
    void *process = guard->slots[number].process;
    guard->slots[number] = (koa_slot){.next_free = guard->first_free};
    guard->first_free = number;
    return process;
}

int guard_start(koa_guard *guard, const guard_command *command, void *process, uint32_t *out)
{
    if (guard->lost || (guard->first_free == guard->slot_count && grow(guard) != 0))
        return -1;
    uint32_t number = guard->first_free;
    start_order order = {
        .head = {.deadline_us = command->deadline_us, .fence = command->fence, .slot = number},
        .task = command->task,
        .output = command->output,
        .node = guard->node,
        .arguments = command->arguments};
    if (start_order_add(bufferevent_get_output(guard->stream), &order) != 0)
        return -1;
    guard->first_free = guard->slots[number].next_free;
    guard->slots[number] = (koa_slot){.process = process};
    *out = number;
    return 0;
}

static void send_frame(koa_guard *guard, frame_type type, const void *payload, size_t size)
{
    if (!guard->lost)
        frame_add(bufferevent_get_output(guard->stream), type, payload, size);
}

void guard_signal(koa_guard *guard, uint32_t number, int signal_number)
{
    signal_order order = {number, signal_number};
    send_frame(guard, FRAME_SIGNAL, &order, sizeof order);
}

void guard_renew(koa_guard *guard, uint32_t number, int64_t deadline_us)
{
    koa_renewal renewal = {.deadline_us = deadline_us, .slot = number};
    send_frame(guard, FRAME_RENEW, &renewal, sizeof renewal);
}

bool guard_is_silent(const koa_guard *guard, int ticks)
{
    return guard->unanswered > ticks;
}

/* Its socket closes, which is how a guard is lost. */
void guard_abandon(koa_guard *guard)
{
    if (!guard->lost)
        kill(guard->pid, SIGKILL);
}

/* Calls are counted, not time: a daemon that was stopped makes none, and the answers that came
 * meanwhile are read before the next. */
void guard_tick(koa_guard *guard, int silent_ticks)
{
    uint64_t sequence = 0;

    if (guard->lost)
        return;
    guard->unanswered++;
    if (guard_is_silent(guard, silent_ticks))
        guard_abandon(guard);
    else
        send_frame(guard, FRAME_PING, &sequence, sizeof sequence);
}

static void on_report(koa_guard *guard, frame_type type, const void *payload)
{
    /* Whatever it says, it is at work: an answer may wait behind a thousand starts. */
    guard->unanswered = 0;
    if (type == FRAME_STARTED) {
        started_report report;
        memcpy(&report, payload, sizeof report);
        guard->slots[report.slot].pid = report.pid;
        guard->events->started(guard->slots[report.slot].process, report.pid);
    } else if (type == FRAME_ENDED) {
        ended_report report;
        memcpy(&report, payload, sizeof report);
        guard->events->ended(free_slot(guard, report.slot), &report);
    }
}

static void on_data(struct bufferevent *stream, void *arg)
{
    koa_guard *guard = arg;
    struct evbuffer *input = bufferevent_get_input(stream);
    const void *payload;
    size_t size;
    frame_type type;

    while ((type = frame_peek(input, &payload, &size)) != 0) {
        on_report(guard, type, payload);
        frame_drain(input, size);
    }
}

static void kill_left(pid_t pid, const char *rest, void *arg)
{
    size_t *left = arg;
    (void)rest;
    kill(pid, SIGKILL);
    ++*left;
}

/* The commands have died with their parent; what they had started is killed here. It is ended when
 * nothing with the guard's mark is left. */
static void end_what_is_left(evutil_socket_t descriptor, short what, void *arg)
{
    koa_guard *guard = arg;
    char prefix[96];
    size_t left = 0;

    (void)descriptor;
    (void)what;
    snprintf(prefix, sizeof prefix, "%s%s.", GUARD_VARIABLE, guard->mark);
    strays_each(prefix, kill_left, &left);
    if (left > 0) {
        struct timeval again = {.tv_usec = LOOK_AGAIN_MS * 1000};
        event_add(guard->look_again, &again);
        return;
    }
    for (uint32_t i = 0; i < guard->slot_count; i++) {
        ended_report end = {.at_us = steady_us(), .slot = i, .cause = END_GUARD};
        if (guard->slots[i].process != NULL)
            guard->events->ended(free_slot(guard, i), &end);
    }
    guard->events->lost(guard->arg);
}

static void on_gone(struct bufferevent *stream, short what, void *arg)
{
    koa_guard *guard = arg;

    (void)what;
    if (guard->lost)
        return;
    guard->lost = true;
    bufferevent_disable(stream, EV_READ | EV_WRITE);
    kill(guard->pid, SIGKILL);
    for (uint32_t i = 0; i < guard->slot_count; i++)
        if (guard->slots[i].process != NULL && guard->slots[i].pid > 0)
            kill(-guard->slots[i].pid, SIGKILL);
    event_active(guard->look_again, EV_TIMEOUT, 0);
}

int guard_attach(koa_guard *guard, struct event_base *base, const guard_events *events, void *arg)
{
    guard->events = events;
    guard->arg = arg;
    evutil_make_socket_nonblocking(guard->socket);
    guard->stream = bufferevent_socket_new(base, guard->socket, BEV_OPT_CLOSE_ON_FREE);
    guard->look_again = evtimer_new(base, end_what_is_left, guard);
    if (guard->stream == NULL || guard->look_again == NULL)
        return -1;
    bufferevent_setcb(guard->stream, on_data, NULL, on_gone, guard);
    return bufferevent_enable(guard->stream, EV_READ | EV_WRITE);
}

void guard_close(koa_guard *guard)
{
    if (guard == NULL)
        return;
    /* A bufferevent closes its socket only later, from the loop. */
    shutdown(guard->socket, SHUT_RDWR);
    if (guard->stream != NULL)
        bufferevent_free(guard->stream);
    else
        close(guard->socket);
    if (guard->look_again != NULL)
        event_free(guard->look_again);
    kill(guard->pid, SIGCONT); /* it may have been stopped */
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    while (guard->scribe > 0 && waitpid(guard->scribe, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(guard->slots);
    free(guard);
}

pid_t guard_pid(const koa_guard *guard)
{
    return guard->pid;
}
