/* The guard's own process: a loop over its socket, its children and the next deadline. */
#include "guard_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard_order.h"
#include "spawn.h"
#include "strays.h"
#include "wards.h"

#define SWEEP_AGAIN_US 50000
#define ORDERS_A_TURN 32

typedef struct guard_process {
    int socket, timer, signals;
    bool alone;   /* the daemon is gone */
    bool backlog; /* orders are left in `in` */
    struct evbuffer *in, *out;
    koa_event_log events;
    char prefix[96]; /* GUARD_VARIABLE and the mark, up to the slot */
    koa_wards wards;
    int64_t next_us; /* when to look at the deadlines again */
} guard_process;

/* Without memory there is no guarding: the daemon sees the socket close, and ends the commands. */
static void must(int result)
{
    if (result != 0)
        abort();
}

static void log_event(const guard_process *guard, const char *name, const koa_ward *ward,
                      const char *detail)
{
    koa_event event = {.name = name,
                       .task = ward->task,
                       .fence = ward->fence,
                       .deadline_us = ward->deadline_us,
                       .pid = ward->pid,
                       .detail = detail};
    event_log_write(&guard->events, &event);
}

static void report(guard_process *guard, koa_ward *ward)
{
    char detail[128];

    ward->end.slot = ward->slot;
    ward->end.cause = (int32_t)ward->cause;
    ward->end.at_us = steady_us();
    end_describe(&ward->end, detail, sizeof detail);
    log_event(guard, "process-ended", ward, detail);
    must(frame_add(guard->out, FRAME_ENDED, &ward->end, sizeof ward->end));
    wards_remove(&guard->wards, ward);
}

static void look_at(guard_process *guard, int64_t when_us)
{
    if (when_us < guard->next_us)
        guard->next_us = when_us;
}

static void start(guard_process *guard, const void *payload, size_t size)
{
    start_order order;
    char mark[160];

    must(start_order_read(&order, payload, size));
    koa_ward *ward = wards_add(&guard->wards, order.head.slot, order.task);
    must(ward == NULL);
    ward->fence = order.head.fence;
    ward->deadline_us = order.head.deadline_us;
    snprintf(mark, sizeof mark, "%s%u.%u", guard->prefix, ward->slot, ward->serial);
    must(start_order_environment(&order, mark));

    if (steady_us() >= ward->deadline_us - GUARD_LEAD_US) {
        ward->cause = END_DEADLINE;
        report(guard, ward);
    } else {
        spawn_order what = {order.arguments, order.environment, order.output};
        pid_t pid = spawn(&what);
        if (pid < 0) {
            ward->cause = END_FAILED;
            ward->end.status = errno;
            report(guard, ward);
        } else {
            wards_set_pid(&guard->wards, ward, pid);
            look_at(guard, ward->deadline_us - GUARD_LEAD_US);
            log_event(guard, "process-started", ward, NULL);
            started_report started = {ward->slot, pid};
            must(frame_add(guard->out, FRAME_STARTED, &started, sizeof started));
        }
    }
    start_order_clear(&order);
}

/* The order may have crossed with the report of the end. */
static void pass_signal(guard_process *guard, const void *payload)
{
    signal_order order;

    memcpy(&order, payload, sizeof order);
    koa_ward *ward = wards_by_slot(&guard->wards, order.slot);
    if (ward != NULL && !ward->ended)
        kill(-ward->pid, order.number);
}

static void renew(guard_process *guard, const void *payload)
{
    koa_renewal renewal;

    memcpy(&renewal, payload, sizeof renewal);
    koa_ward *ward = wards_by_slot(&guard->wards, renewal.slot);
    if (ward != NULL && renewal.deadline_us > ward->deadline_us)
        ward->deadline_us = renewal.deadline_us;
}

static void obey(guard_process *guard, frame_type type, const void *payload, size_t size)
{
    switch (type) {
    case FRAME_START:
        start(guard, payload, size);
        break;
    case FRAME_RENEW:
        renew(guard, payload);
        break;
    case FRAME_SIGNAL:
        pass_signal(guard, payload);
        break;
    case FRAME_PING:
        must(frame_add(guard->out, FRAME_PONG, payload, size));
        break;
    default:
        abort();
    }
}

static void end_ward(koa_ward *ward, end_cause cause)
{
    if (ward->ended || ward->cause != END_OWN)
        return;
    ward->cause = cause;
    kill(-ward->pid, SIGKILL);
}

/* Kills the groups whose deadline has come, and finds the next. */
static void check_deadlines(guard_process *guard)
{
    int64_t now = steady_us();

    guard->next_us = INT64_MAX;
    for (size_t slot = 0; slot < guard->wards.slots; slot++) {
        koa_ward *ward = guard->wards.by_slot[slot];
        if (ward == NULL || ward->ended || ward->cause != END_OWN)
            continue;
        if (now >= ward->deadline_us - GUARD_LEAD_US)
            end_ward(ward, END_DEADLINE);
        else
            look_at(guard, ward->deadline_us - GUARD_LEAD_US);
    }
}

static void set_usage(ended_report *end, const struct rusage *usage)
{
    end->user_us = (int64_t)usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec;
    end->system_us = (int64_t)usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec;
    end->max_rss_kib = usage->ru_maxrss;
}

/* A leader that has ended takes its group with it while its id is still its own. */
static void reap(guard_process *guard)
{
    siginfo_t info = {0};
    struct rusage usage;

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        koa_ward *ward = wards_by_pid(&guard->wards, info.si_pid);
        if (ward != NULL)
            kill(-ward->pid, SIGKILL);
        wait4(info.si_pid, NULL, 0, &usage);
        if (ward != NULL) {
            ward->end.code = info.si_code;
            ward->end.status = info.si_status;
            set_usage(&ward->end, &usage);
            wards_set_ended(&guard->wards, ward);
        }
        info.si_pid = 0;
    }
}

static void kill_stray(pid_t pid, const char *rest, void *arg)
{
    guard_process *guard = arg;
    unsigned slot, serial;

    if (sscanf(rest, "%u.%u", &slot, &serial) != 2)
        return;
    koa_ward *ward = wards_by_slot(&guard->wards, slot);
    if (ward == NULL || ward->serial != serial || !ward->ended)
        return;
    ward->strays++;
    kill(pid, SIGKILL);
}

/* Reports the ended ones of which nothing is left, and kills what is left of the others. Whatever
 * a dead leader has left behind is, or is about to be, a child of the guard. */
static void sweep(guard_process *guard)
{
    if (guard->wards.count == guard->wards.living)
        return;
    if (children_count() != (long)guard->wards.living)
        strays_each(guard->prefix, kill_stray, guard);
    for (size_t slot = 0; slot < guard->wards.slots; slot++) {
        koa_ward *ward = guard->wards.by_slot[slot];
        if (ward == NULL || !ward->ended)
            continue;
        if (ward->strays == 0) {
            report(guard, ward);
        } else {
            ward->strays = 0;
            look_at(guard, steady_us() + SWEEP_AGAIN_US);
        }
    }
}

static void part_from_daemon(guard_process *guard)
{
    guard->alone = true;
    for (size_t slot = 0; slot < guard->wards.slots; slot++)
        if (guard->wards.by_slot[slot] != NULL)
            end_ward(guard->wards.by_slot[slot], END_DAEMON);
}

static void listen_to_daemon(guard_process *guard)
{
    int got = evbuffer_read(guard->in, guard->socket, 65536);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        part_from_daemon(guard);
}

/* A few orders a turn, so that a thousand starts do not hold up a deadline. */
static void obey_some(guard_process *guard)
{
    const void *payload;
    size_t size;
    frame_type type = 0;

    for (int i = 0; i < ORDERS_A_TURN && !guard->alone; i++) {
        type = frame_peek(guard->in, &payload, &size);
        if (type == 0)
            break;
        obey(guard, type, payload, size);
        frame_drain(guard->in, size);
    }
    guard->backlog = type != 0;
}

static void tell_daemon(guard_process *guard)
{
    if (evbuffer_get_length(guard->out) == 0 || guard->alone)
        return;
    if (evbuffer_write(guard->out, guard->socket) < 0 && errno != EAGAIN && errno != EINTR)
        part_from_daemon(guard);
}

static void arm_timer(guard_process *guard)
{
    struct itimerspec when = {.it_value = {0}};

    if (guard->next_us != INT64_MAX) {
        /* All zero would stop it. */
        int64_t due = guard->next_us > 0 ? guard->next_us : 1;
        when.it_value.tv_sec = due / 1000000;
        when.it_value.tv_nsec = due % 1000000 * 1000;
    }
    timerfd_settime(guard->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void turn(guard_process *guard)
{
    struct signalfd_siginfo signals[16];
    uint64_t expirations;

    arm_timer(guard);
    short wanted = POLLIN | (evbuffer_get_length(guard->out) > 0 ? POLLOUT : 0);
    struct pollfd watched[] = {{guard->alone ? -1 : guard->socket, wanted, 0},
                               {guard->timer, POLLIN, 0},
                               {guard->signals, POLLIN, 0}};
    if (poll(watched, 3, guard->backlog ? 0 : -1) < 0)
        return;
    /* Deadlines first: a daemon that has much to say must not delay them. Reading only empties the
     * descriptors; what there is to do is looked at anew each time. */
    if (watched[1].revents != 0 && read(guard->timer, &expirations, sizeof expirations) > 0)
        check_deadlines(guard);
    if (watched[2].revents != 0 && read(guard->signals, signals, sizeof signals) < 0)
        return;
    if (watched[0].revents != 0)
        listen_to_daemon(guard);
    obey_some(guard);
    reap(guard);
    sweep(guard);
    tell_daemon(guard);
}

/* Descriptors 0 to 2, and from 3 on the socket and the event log; nothing else of the daemon's. */
static void settle_descriptors(guard_process *guard, int socket, const koa_event_log *events)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high_socket = fcntl(socket, F_DUPFD_CLOEXEC, 64);
    int high_events = events->descriptor < 0 ? -1 : fcntl(events->descriptor, F_DUPFD_CLOEXEC, 64);

    must(null < 0 || high_socket < 0);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    guard->socket = dup3(high_socket, 3, O_CLOEXEC);
    guard->events = *events;
    if (high_events >= 0)
        guard->events.descriptor = dup3(high_events, 4, O_CLOEXEC);
    close_range(guard->events.descriptor >= 0 ? 5 : 4, ~0U, 0);
    must(fcntl(guard->socket, F_SETFL, O_NONBLOCK));
}

static void settle_signals(guard_process *guard)
{
    static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE,
                                  SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
    sigset_t children;

    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_SETMASK, &children, NULL);
    guard->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    guard->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    must(guard->signals < 0 || guard->timer < 0);
}

/* What was not recognised as a command's. */
static void end_children(void)
{
    if (children_count() < 0)
        return;
    do
        children_kill();
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

_Noreturn void guard_process_run(int socket, const koa_event_log *events, const char *mark)
{
    static guard_process guard;

    setsid();
    prctl(PR_SET_NAME, "koalemos-guard");
    must(prctl(PR_SET_CHILD_SUBREAPER, 1));
    settle_descriptors(&guard, socket, events);
    settle_signals(&guard);
    guard.in = evbuffer_new();
    guard.out = evbuffer_new();
    must(guard.in == NULL || guard.out == NULL);
    guard.next_us = INT64_MAX;
    snprintf(guard.prefix, sizeof guard.prefix, "%s%s.", GUARD_VARIABLE, mark);

    while (!guard.alone || guard.wards.count > 0)
        turn(&guard);
    end_children();
    _exit(0);
}
