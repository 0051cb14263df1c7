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
#define PRIORITY_RAISE 10

typedef struct guard_process {
    int socket, timer, signals;
    int priority; /* of the commands */
    bool alone;   /* the daemon is gone */
    struct evbuffer *in, *out;
    koa_event_log events;
    char prefix[96]; /* GUARD_VARIABLE and the mark, up to the slot */
    koa_wards wards;
    size_t ended;    /* of these, whose end is not told yet */
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

/* Starts wait in a queue, so that they do not hold up other orders. */
static void take_start(guard_process *guard, const void *payload, size_t size)
{
    start_order order;

    must(start_order_read(&order, payload, size));
    koa_ward *ward = wards_add(&guard->wards, &order);
    must(ward == NULL);
    look_at(guard, ward->deadline_us);
}

static void start(guard_process *guard, koa_ward *ward)
{
    char mark[160];

    if (steady_us() >= ward->deadline_us) {
        ward->cause = END_DEADLINE;
        report(guard, ward);
        return;
    }
    snprintf(mark, sizeof mark, "%s%u.%u", guard->prefix, ward->slot, ward->serial);
    must(start_order_environment(&ward->order, mark));
    spawn_order what = {ward->order.arguments, ward->order.environment, ward->order.output,
                        guard->priority};
    pid_t pid = spawn(&what);
    if (pid < 0) {
        ward->cause = END_FAILED;
        ward->end.status = errno;
        report(guard, ward);
        return;
    }
    wards_set_running(&guard->wards, ward, pid);
    log_event(guard, "process-started", ward, NULL);
    started_report started = {ward->slot, pid};
    must(frame_add(guard->out, FRAME_STARTED, &started, sizeof started));
}

/* One a turn: a thousand starts must not hold up a deadline. */
static void start_next(guard_process *guard)
{
    if (!TAILQ_EMPTY(&guard->wards.waiting))
        start(guard, TAILQ_FIRST(&guard->wards.waiting));
}

/* The order may have crossed with the report of the end. */
static void pass_signal(guard_process *guard, const void *payload)
{
    signal_order order;

    memcpy(&order, payload, sizeof order);
    koa_ward *ward = wards_by_slot(&guard->wards, order.slot);
    if (ward == NULL)
        return;
    if (ward->state == WARD_RUNNING) {
        kill(-ward->pid, order.number);
    } else if (ward->state == WARD_WAITING) {
        ward->end.code = CLD_KILLED;
        ward->end.status = order.number;
        report(guard, ward);
    }
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
        take_start(guard, payload, size);
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

static void end_ward(guard_process *guard, koa_ward *ward, end_cause cause)
{
    if (ward->state == WARD_ENDED || ward->cause != END_OWN)
        return;
    ward->cause = cause;
    if (ward->state == WARD_WAITING)
        report(guard, ward);
    else
        kill(-ward->pid, SIGKILL);
}

/* Kills the groups whose deadline has come, and finds the next. */
static void check_deadlines(guard_process *guard)
{
    int64_t now = steady_us();

    guard->next_us = INT64_MAX;
    for (size_t slot = 0; slot < guard->wards.slots; slot++) {
        koa_ward *ward = guard->wards.by_slot[slot];
        if (ward == NULL || ward->state == WARD_ENDED || ward->cause != END_OWN)
            continue;
        if (now >= ward->deadline_us)
            end_ward(guard, ward, END_DEADLINE);
        else
            look_at(guard, ward->deadline_us);
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
            guard->ended++;
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
    if (ward == NULL || ward->serial != serial || ward->state != WARD_ENDED)
        return;
    ward->strays++;
    kill(pid, SIGKILL);
}

/* Reports the ended ones of which nothing is left, and kills what is left of the others. Whatever
 * a dead leader has left behind is, or is about to be, a child of the guard. */
static void sweep(guard_process *guard)
{
    if (guard->ended == 0)
        return;
    if (children_count() != (long)guard->wards.running)
        strays_each(guard->prefix, kill_stray, guard);
    guard->ended = 0;
    for (size_t slot = 0; slot < guard->wards.slots; slot++) {
        koa_ward *ward = guard->wards.by_slot[slot];
        if (ward == NULL || ward->state != WARD_ENDED)
            continue;
        if (ward->strays == 0) {
            report(guard, ward);
        } else {
            ward->strays = 0;
            guard->ended++;
            look_at(guard, steady_us() + SWEEP_AGAIN_US);
        }
    }
}

static void part_from_daemon(guard_process *guard)
{
    guard->alone = true;
    for (size_t slot = 0; slot < guard->wards.slots; slot++)
        if (guard->wards.by_slot[slot] != NULL)
            end_ward(guard, guard->wards.by_slot[slot], END_DAEMON);
}

static void listen_to_daemon(guard_process *guard)
{
    const void *payload;
    size_t size;
    frame_type type;

    int got = evbuffer_read(guard->in, guard->socket, 65536);
    while ((type = frame_peek(guard->in, &payload, &size)) != 0) {
        obey(guard, type, payload, size);
        frame_drain(guard->in, size);
    }
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        part_from_daemon(guard);
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
    if (poll(watched, 3, TAILQ_EMPTY(&guard->wards.waiting) ? -1 : 0) < 0)
        return;
    bool due = watched[1].revents != 0;
    if (due && read(guard->timer, &expirations, sizeof expirations) < 0)
        due = false;
    if (watched[2].revents != 0 && read(guard->signals, signals, sizeof signals) < 0)
        return;
    /* What the daemon has said may be a later deadline. */
    if (watched[0].revents != 0 || due)
        listen_to_daemon(guard);
    if (due)
        check_deadlines(guard);
    start_next(guard);
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

/* To be in time also where there is too much to do; only root may, and it works without. */
static void raise_priority(guard_process *guard)
{
    guard->priority = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, guard->priority - PRIORITY_RAISE);
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
    raise_priority(&guard);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1));
    settle_descriptors(&guard, socket, events);
    settle_signals(&guard);
    wards_init(&guard.wards);
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
