/* This program's end of the guard: orders out, reports in, and what to do when the guard is lost.
 */
#include "process/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <metafora/driver.h>

#include <event2/event.h>

#include "process/channel.h"
#include "process/guard_process.h"
#include "process/order.h"
#include "process/pidfd.h"
#include "process/scribe.h"
#include "process/strays.h"

enum { LOOK_AGAIN_MS = 10, DENIED_AGAIN_MS = 1000 };

typedef struct slot {
    void *process; /* NULL: free */
    bool left;     /* of a lost guard: something of it is alive */
    bool denied;   /* and may not be killed */
    pid_t pid;     /* 0: not known yet */
    uint32_t next_free;
} slot;

struct mf__guard {
    pid_t pid, scribe;               /* 0: none */
    int descriptor;                  /* of the guard's process; -1: none */
    int guard_socket, scribe_socket; /* until they are attached; -1: none */
    char mark[40];
    mf__channel orders, lines;
    struct event *look_again;
    const mf__guard_events *events;
    void *arg;
    slot *slots;
    uint32_t slot_count, first_free; /* first_free == slot_count: none */
    int unanswered;                  /* ticks without a pong */
    bool lost, told;                 /* told: that it is lost */
};

static int make_mark(char *mark, size_t size)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -1;
    snprintf(mark, size, "%016" PRIx64, random);
    return 0;
}

static void close_if_open(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

/* A pair of which ours is kept and the other goes to a child. */
static int make_pair(int *ours, int *theirs)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    *ours = ends[0];
    *theirs = ends[1];
    return 0;
}

/* *guards_end becomes the guard's own socket to the scribe. */
static int spawn_scribe(mf__guard *guard, int event_log, int *guards_end)
{
    int theirs[2] = {-1, -1};

    if (make_pair(&guard->scribe_socket, &theirs[0]) != 0 ||
        make_pair(guards_end, &theirs[1]) != 0) {
        close_if_open(theirs[0]);
        return -1;
    }
    pid_t pid = mf__scribe_start(theirs, event_log);
    close(theirs[0]);
    close(theirs[1]);
    if (pid < 0)
        return -1;
    guard->scribe = pid;
    return 0;
}

static int spawn(mf__guard *guard, int event_log, bool notes)
{
    int socket = -1, lines = -1;
    int code = make_mark(guard->mark, sizeof guard->mark);

    if (code == 0 && (event_log >= 0 || notes))
        code = spawn_scribe(guard, event_log, &lines);
    if (code == 0)
        code = make_pair(&guard->guard_socket, &socket);
    if (code == 0) {
        guard->pid = fork();
        if (guard->pid == 0)
            mf__guard_process_run(socket, event_log >= 0 ? lines : -1, guard->mark);
        code = guard->pid < 0 ? -1 : 0;
        /* The program may reap all its children, and then a bare id is nobody's. */
        if (code == 0)
            guard->descriptor = mf__pidfd_open(guard->pid);
    }
    close_if_open(socket);
    close_if_open(lines);
    return code;
}

int mf__guard_spawn(mf__guard **out, const char *event_log, bool notes, mf_error *error)
{
    mf__guard *guard = calloc(1, sizeof *guard);
    int file = -1, code = MF_OK;

    if (guard == NULL)
        return mf_error_set(error, MF_ENOMEM, "guard: out of memory");
    guard->descriptor = -1;
    guard->guard_socket = guard->scribe_socket = guard->orders.socket = guard->lines.socket = -1;
    if (event_log != NULL) {
        file = open(event_log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (file < 0)
            code = mf_error_set(error, MF_ESYSTEM, "event_log: %.150s: %s", event_log,
                                strerror(errno));
    }
    if (code == MF_OK && spawn(guard, file, notes) != 0)
        code = mf_error_set(error, MF_ESYSTEM, "guard: %s", strerror(errno));
    close_if_open(file);
    if (code == MF_OK)
        *out = guard;
    else
        mf__guard_close(guard);
    return code;
}

static int grow(mf__guard *guard)
{
    uint32_t count = guard->slot_count != 0 ? guard->slot_count * 2 : 64;
    slot *larger = realloc(guard->slots, count * sizeof *larger);
    if (larger == NULL)
        return -1;
    for (uint32_t i = guard->slot_count; i < count; i++)
        larger[i] = (slot){.next_free = i + 1};
    guard->slots = larger;
    guard->slot_count = count;
    return 0;
}

static void *free_slot(mf__guard *guard, uint32_t number)
{
    void *process = guard->slots[number].process;
    guard->slots[number] = (slot){.next_free = guard->first_free};
    guard->first_free = number;
    return process;
}

int mf__guard_start(mf__guard *guard, const mf__guard_command *command, void *process,
                    uint32_t *out)
{
    if (guard->lost || (guard->first_free == guard->slot_count && grow(guard) != 0))
        return -1;
    uint32_t number = guard->first_free;
    mf__start_order order = {
        .head = {.deadline_us = command->deadline_us, .fence = command->fence, .slot = number},
        .task = command->task,
        .output = command->output != NULL ? command->output : "",
        .node = command->node,
        .arguments = command->arguments};
    if (mf__start_order_add(guard->orders.out, &order) != 0)
        return -1;
    mf__channel_send(&guard->orders);
    guard->first_free = guard->slots[number].next_free;
    guard->slots[number] = (slot){.process = process};
    *out = number;
    return 0;
}

static int send_frame(mf__guard *guard, mf__frame_type type, const void *payload, size_t size)
{
    if (guard->lost)
        return 0;
    int code = mf__frame_add(guard->orders.out, type, payload, size);
    mf__channel_send(&guard->orders);
    return code;
}

int mf__guard_signal(mf__guard *guard, uint32_t number, int signal_number)
{
    mf__signal_order order = {number, signal_number};
    return send_frame(guard, FRAME_SIGNAL, &order, sizeof order);
}

void mf__guard_renew(mf__guard *guard, uint32_t number, int64_t deadline_us)
{
    mf__renewal renewal = {.deadline_us = deadline_us, .slot = number};
    send_frame(guard, FRAME_RENEW, &renewal, sizeof renewal);
}

void mf__guard_event(mf__guard *guard, const mf__event *event)
{
    mf__scribe_event(guard->lines.out, event);
    mf__channel_send(&guard->lines);
}

void mf__guard_note(mf__guard *guard, const char *path, const char *text)
{
    mf__scribe_note(guard->lines.out, path, text);
    mf__channel_send(&guard->lines);
}

bool mf__guard_is_silent(const mf__guard *guard, int ticks)
{
    return guard->unanswered > ticks;
}

/* Its socket closes, which is how a guard is lost. */
void mf__guard_abandon(mf__guard *guard)
{
    if (!guard->lost)
        mf__pidfd_kill(guard->descriptor, guard->pid, SIGKILL);
}

/* Calls are counted, not time: a host that was stopped makes none, and the answers that came
 * meanwhile are read before the next. */
void mf__guard_tick(mf__guard *guard, int silent_ticks)
{
    uint64_t sequence = 0;

    if (guard->lost)
        return;
    guard->unanswered++;
    if (mf__guard_is_silent(guard, silent_ticks))
        mf__guard_abandon(guard);
    else
        send_frame(guard, FRAME_PING, &sequence, sizeof sequence);
}

static void on_report(mf__guard *guard, mf__frame_type type, const void *payload)
{
    /* Whatever it says, it is at work: an answer may wait behind a thousand starts. */
    guard->unanswered = 0;
    if (type == FRAME_STARTED) {
        mf__started report;
        memcpy(&report, payload, sizeof report);
        guard->slots[report.slot].pid = report.pid;
        guard->events->started(guard->slots[report.slot].process, report.pid);
    } else if (type == FRAME_ENDED) {
        mf__ended report;
        memcpy(&report, payload, sizeof report);
        guard->events->ended(free_slot(guard, report.slot), &report);
    } else if (type == FRAME_DENIED) {
        mf__denied report;
        memcpy(&report, payload, sizeof report);
        guard->events->denied(guard->slots[report.slot].process, report.pid);
    }
}

static void on_data(void *arg)
{
    mf__guard *guard = arg;
    struct evbuffer *input = guard->orders.in;
    const void *payload;
    size_t size;
    mf__frame_type type;

    while ((type = mf__frame_peek(input, &payload, &size)) != 0) {
        on_report(guard, type, payload);
        mf__frame_drain(input, size);
    }
}

/* What is left of a lost guard's commands. */
typedef struct remains {
    mf__guard *guard;
    size_t count, denied;
} remains;

/* By the mark, or by its process group. slot_count: of none that is known. */
static uint32_t slot_of(const mf__guard *guard, const mf__stray *stray)
{
    unsigned number;
    uint32_t i = 0;

    if (stray->mark != NULL && sscanf(stray->mark, "%u", &number) == 1)
        return number < guard->slot_count ? number : guard->slot_count;
    while (i < guard->slot_count && guard->slots[i].pid != stray->group)
        i++;
    return i;
}

static void kill_left(const mf__stray *stray, void *arg)
{
    remains *left = arg;
    mf__guard *guard = left->guard;
    uint32_t number = slot_of(guard, stray);
    bool denied = !mf__stray_kill(stray);

    left->count++;
    left->denied += denied;
    if (number == guard->slot_count || guard->slots[number].process == NULL)
        return;
    guard->slots[number].left = true;
    if (denied && !guard->slots[number].denied)
        guard->events->denied(guard->slots[number].process, stray->pid);
    guard->slots[number].denied |= denied;
}

static void tell_ends(mf__guard *guard)
{
    for (uint32_t i = 0; i < guard->slot_count; i++) {
        mf__ended end = {.at_us = mf__steady_us(), .slot = i, .cause = END_GUARD};
        if (guard->slots[i].process != NULL && !guard->slots[i].left)
            guard->events->ended(free_slot(guard, i), &end);
    }
}

/* The commands have died with their parent; what they had started, or what has become another
 * user's and so did not die with it, is killed here. A command is ended when nothing of it is
 * left. */
static void end_what_is_left(evutil_socket_t descriptor, short what, void *arg)
{
    mf__guard *guard = arg;
    remains left = {.guard = guard};
    char prefix[96];

    (void)descriptor;
    (void)what;
    for (uint32_t i = 0; i < guard->slot_count; i++)
        guard->slots[i].left = false;
    snprintf(prefix, sizeof prefix, "%s%s.", GUARD_VARIABLE, guard->mark);
    mf__strays_each(prefix, guard->pid, kill_left, &left);
    if (left.count > 0) {
        bool slow = left.denied == left.count;
        struct timeval again = {.tv_sec = slow ? DENIED_AGAIN_MS / 1000 : 0,
                                .tv_usec = slow ? 0 : LOOK_AGAIN_MS * 1000};
        event_add(guard->look_again, &again);
    }
    if (left.count > left.denied)
        return;
    tell_ends(guard);
    if (!guard->told)
        guard->events->lost(guard->arg);
    guard->told = true;
}

static void on_gone(void *arg)
{
    mf__guard *guard = arg;

    guard->lost = true;
    mf__pidfd_kill(guard->descriptor, guard->pid, SIGKILL);
    event_active(guard->look_again, EV_TIMEOUT, 0);
}

int mf__guard_attach(mf__guard *guard, struct event_base *base, const mf__guard_events *events,
                     void *arg)
{
    int guard_socket = guard->guard_socket, scribe_socket = guard->scribe_socket;

    guard->events = events;
    guard->arg = arg;
    guard->orders.on_data = on_data;
    guard->orders.on_gone = on_gone;
    guard->orders.arg = guard;
    guard->guard_socket = guard->scribe_socket = -1;
    guard->look_again = evtimer_new(base, end_what_is_left, guard);
    int orders = mf__channel_open(&guard->orders, guard_socket, base);
    int lines = mf__channel_open(&guard->lines, scribe_socket, base); /* takes it in any case */
    return orders == 0 && lines == 0 && guard->look_again != NULL ? 0 : -1;
}

static void await_end(pid_t pid)
{
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

void mf__guard_close(mf__guard *guard)
{
    if (guard == NULL)
        return;
    mf__channel_close(&guard->orders, false);
    close_if_open(guard->guard_socket);
    if (guard->look_again != NULL)
        event_free(guard->look_again);
    if (guard->pid > 0)
        mf__pidfd_kill(guard->descriptor, guard->pid, SIGCONT); /* it may have been stopped */
    await_end(guard->pid);
    close_if_open(guard->descriptor);
    mf__channel_close(&guard->lines, true);
    close_if_open(guard->scribe_socket);
    await_end(guard->scribe);
    free(guard->slots);
    free(guard);
}

pid_t mf__guard_pid(const mf__guard *guard)
{
    return guard->pid;
}
