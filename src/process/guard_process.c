/* The guard's own process: a loop over its socket, its children and the next deadline. */
#include "process/guard_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#include <event2/buffer.h>

#include "process/descriptors.h"
#include "process/events.h"
#include "process/order.h"
#include "process/output.h"
#include "process/scribe.h"
#include "process/spawn.h"
#include "process/strays.h"
#include "process/wards.h"

#define SWEEP_AGAIN_US 50000
#define DENIED_AGAIN_US 1000000
#define PRIORITY_RAISE 10

typedef struct guard_process {
    int socket, timer, signals;
    int lines_socket; /* to the scribe; -1: no event log */
    int failures[2];  /* a pipe: what commands could not begin */
    int priority;     /* of the commands */
    bool alone;       /* the host is gone */
    struct evbuffer *in, *out, *lines;
    char prefix[96]; /* GUARD_VARIABLE and the mark, up to the slot */
    mf__wards wards;
    size_t ended;    /* of these, whose end is not told yet */
    int64_t next_us; /* when to look at the deadlines again */
    int64_t scan_us; /* not to look for strays before */
} guard_process;

/* Without memory there is no guarding: the host sees the socket close, and ends the commands. */
static void must(int result)
{
    if (result != 0)
        abort();
}

static void log_event(guard_process *guard, const char *name, const mf__ward *ward,
                      const char *detail)
{
    mf__event event = {.name = name,
                       .node = ward->node,
                       .task = ward->task,
                       .fence = ward->fence,
                       .deadline_us = ward->deadline_us,
                       .pid = ward->pid,
                       .detail = detail};

    if (guard->lines_socket >= 0)
        mf__scribe_event(guard->lines, &event);
}

static void report(guard_process *guard, mf__ward *ward)
{
    char detail[128];

    ward->end.slot = ward->slot;
    ward->end.cause = (int32_t)ward->cause;
    ward->end.at_us = mf__steady_us();
    mf__end_describe(&ward->end, detail, sizeof detail);
    log_event(guard, "process-ended", ward, detail);
    must(mf__frame_add(guard->out, FRAME_ENDED, &ward->end, sizeof ward->end));
    mf__wards_remove(&guard->wards, ward);
}

static void look_at(guard_process *guard, int64_t when_us)
{
    if (when_us < guard->next_us)
        guard->next_us = when_us;
}

/* Starts wait in a queue, so that they do not hold up other orders. */
static void take_start(guard_process *guard, const void *payload, size_t size)
{
    mf__start_order order;

    must(mf__start_order_read(&order, payload, size));
    mf__ward *ward = mf__wards_add(&guard->wards, &order);
    must(ward == NULL);
    look_at(guard, ward->deadline_us);
}

/* "sh -c ...", as far as there is room. */
static void join(char *text, size_t size, char *const *arguments)
{
    size_t used = 0;

    text[0] = '\0';
    for (; *arguments != NULL && used + 1 < size; arguments++)
        used += (size_t)snprintf(text + used, size - used, used > 0 ? " %s" : "%s", *arguments);
}

static pid_t spawn(const guard_process *guard, mf__ward *ward)
{
    char note[MF_NOTE_SIZE + MF_NOTE_SIZE / 2], command[MF_NOTE_SIZE], line[MF_NOTE_SIZE];
    mf__spawn_order what = {.arguments = ward->order.arguments,
                            .environment = ward->order.environment,
                            .output = ward->order.output,
                            .note = line,
                            .failures = guard->failures[1],
                            .priority = guard->priority};

    join(command, sizeof command, what.arguments);
    snprintf(note, sizeof note, "%s, fence %" PRIu64 ": %s", ward->node, ward->fence, command);
    mf__output_note(line, note);
    return mf__spawn(&what);
}

static void start(guard_process *guard, mf__ward *ward)
{
    char mark[160];

    if (mf__steady_us() >= ward->deadline_us) {
        ward->cause = END_DEADLINE;
        report(guard, ward);
        return;
    }
    snprintf(mark, sizeof mark, "%s%u.%u", guard->prefix, ward->slot, ward->serial);
    must(mf__start_order_environment(&ward->order, mark));
    pid_t pid = spawn(guard, ward);
    if (pid < 0) {
        ward->cause = END_FAILED;
        ward->end.status = errno;
        report(guard, ward);
        return;
    }
    ward->end.run_us = -mf__steady_us();
    mf__wards_set_running(&guard->wards, ward, pid);
    log_event(guard, "process-started", ward, NULL);
    mf__started started = {ward->slot, pid};
    must(mf__frame_add(guard->out, FRAME_STARTED, &started, sizeof started));
}

/* One a turn: a thousand starts must not hold up a deadline. */
static void start_next(guard_process *guard)
{
    if (!TAILQ_EMPTY(&guard->wards.waiting))
        start(guard, TAILQ_FIRST(&guard->wards.waiting));
}

/* It goes on by itself, whatever becomes of the lease: the program has to know. */
static void tell_denied(guard_process *guard, mf__ward *ward, pid_t pid)
{
    mf__denied denied = {ward->slot, pid};

    if (ward->denied)
        return;
    ward->denied = true;
    log_event(guard, "process-denied", ward, "runs as another user, cannot be killed");
    must(mf__frame_add(guard->out, FRAME_DENIED, &denied, sizeof denied));
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* The leader's id and its group's are its own until it is reaped. */
static void kill_group(guard_process *guard, mf__ward *ward)
{
    kill(-ward->pid, SIGKILL);
    if (kill(ward->pid, SIGKILL) != 0 && errno == EPERM && !has_ended(ward->pid))
        tell_denied(guard, ward, ward->pid);
}

/* The order may have crossed with the report of the end. */
static void pass_signal(guard_process *guard, const void *payload)
{
    mf__signal_order order;

    memcpy(&order, payload, sizeof order);
    mf__ward *ward = mf__wards_by_slot(&guard->wards, order.slot);
    if (ward == NULL)
        return;
    if (ward->state == WARD_RUNNING) {
        if (order.number == SIGKILL)
            kill_group(guard, ward);
        else
            kill(-ward->pid, order.number);
    } else if (ward->state == WARD_WAITING) {
        ward->end.code = CLD_KILLED;
        ward->end.status = order.number;
        report(guard, ward);
    }
}

static void renew(guard_process *guard, const void *payload)
{
    mf__renewal renewal;

    memcpy(&renewal, payload, sizeof renewal);
    mf__ward *ward = mf__wards_by_slot(&guard->wards, renewal.slot);
    if (ward != NULL && renewal.deadline_us > ward->deadline_us)
        ward->deadline_us = renewal.deadline_us;
}

static void obey(guard_process *guard, mf__frame_type type, const void *payload, size_t size)
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
        must(mf__frame_add(guard->out, FRAME_PONG, payload, size));
        break;
    default:
        abort();
    }
}

static void end_ward(guard_process *guard, mf__ward *ward, mf__end_cause cause)
{
    if (ward->state == WARD_ENDED || ward->cause != END_OWN)
        return;
    ward->cause = cause;
    if (ward->state == WARD_WAITING)
        report(guard, ward);
    else
        kill_group(guard, ward);
}

/* Kills the groups whose deadline has come, and finds the next. */
static void check_deadlines(guard_process *guard)
{
    int64_t now = mf__steady_us();

    guard->next_us = INT64_MAX;
    for (size_t slot = 0; slot < guard->wards.slots; slot++) {
        mf__ward *ward = guard->wards.by_slot[slot];
        if (ward == NULL || ward->state == WARD_ENDED)
            continue;
        if (ward->cause != END_OWN && ward->denied) {
            kill_group(guard, ward); /* it may have become another user's again */
            look_at(guard, now + DENIED_AGAIN_US);
        } else if (ward->cause != END_OWN) {
            continue;
        } else if (now >= ward->deadline_us)
            end_ward(guard, ward, END_DEADLINE);
        else
            look_at(guard, ward->deadline_us);
    }
}

static void set_usage(mf__ended *end, const struct rusage *usage)
{
    end->user_us = (int64_t)usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec;
    end->system_us = (int64_t)usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec;
    end->max_rss_kib = usage->ru_maxrss;
}

static void set_end(mf__ward *ward, const siginfo_t *info, const struct rusage *usage)
{
    set_usage(&ward->end, usage);
    ward->end.run_us += mf__steady_us();
    if (ward->cause == END_FAILED)
        return;
    ward->end.code = info->si_code;
    ward->end.status = info->si_status;
}

/* Told before the process ended, so that it is known when it is reaped. */
static void take_failures(guard_process *guard)
{
    mf__spawn_failure failure;

    while (read(guard->failures[0], &failure, sizeof failure) == sizeof failure) {
        mf__ward *ward = mf__wards_by_pid(&guard->wards, failure.pid);
        if (ward == NULL)
            continue;
        ward->cause = END_FAILED;
        ward->end.status = failure.error;
    }
}

/* A leader that has ended takes its group with it while its id is still its own. */
static void reap(guard_process *guard)
{
    siginfo_t info = {0};
    struct rusage usage;

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        mf__ward *ward = mf__wards_by_pid(&guard->wards, info.si_pid);
        if (ward != NULL)
            kill(-ward->pid, SIGKILL);
        wait4(info.si_pid, NULL, 0, &usage);
        take_failures(guard);
        if (ward != NULL) {
            set_end(ward, &info, &usage);
            mf__wards_set_ended(&guard->wards, ward);
            guard->ended++;
        }
        info.si_pid = 0;
    }
}

/* The ward that it is left of, if that has ended; NULL: of none, or of one that runs. */
static mf__ward *ward_of(const guard_process *guard, const mf__stray *stray)
{
    unsigned slot, serial;

    if (stray->mark == NULL)
        return mf__wards_ended_group(&guard->wards, stray->group);
    if (sscanf(stray->mark, "%u.%u", &slot, &serial) != 2)
        return NULL;
    mf__ward *ward = mf__wards_by_slot(&guard->wards, slot);
    return ward != NULL && ward->serial == serial && ward->state == WARD_ENDED ? ward : NULL;
}

static void kill_stray(const mf__stray *stray, void *arg)
{
    guard_process *guard = arg;
    mf__ward *ward = ward_of(guard, stray);

    if (ward == NULL)
        return;
    ward->strays++;
    if (!mf__stray_kill(stray))
        tell_denied(guard, ward, stray->pid);
}

/* Looks at all processes of the machine, which takes long where there are many: no more than a
 * fifth of the time, so that the host is answered in between. False: not now. */
static bool scan(guard_process *guard)
{
    int64_t began = mf__steady_us();

    if (began < guard->scan_us) {
        look_at(guard, guard->scan_us);
        return false;
    }
    mf__strays_each(guard->prefix, getpid(), kill_stray, guard);
    int64_t ended = mf__steady_us();
    guard->scan_us = ended + 4 * (ended - began);
    return true;
}

/* Reports the ended ones of which nothing is left, and kills what is left of the others. Whatever
 * a dead leader has left behind is, or is about to be, a child of the guard. */
static void sweep(guard_process *guard)
{
    if (guard->ended == 0)
        return;
    if (mf__children_count() != (long)guard->wards.running && !scan(guard))
        return;
    guard->ended = 0;
    for (size_t slot = 0; slot < guard->wards.slots; slot++) {
        mf__ward *ward = guard->wards.by_slot[slot];
        if (ward == NULL || ward->state != WARD_ENDED)
            continue;
        if (ward->strays == 0) {
            report(guard, ward);
        } else {
            ward->strays = 0;
            guard->ended++;
            look_at(guard, mf__steady_us() + (ward->denied ? DENIED_AGAIN_US : SWEEP_AGAIN_US));
        }
    }
}

static void part_from_host(guard_process *guard)
{
    guard->alone = true;
    for (size_t slot = 0; slot < guard->wards.slots; slot++)
        if (guard->wards.by_slot[slot] != NULL)
            end_ward(guard, guard->wards.by_slot[slot], END_HOST);
}

static void listen_to_host(guard_process *guard)
{
    const void *payload;
    size_t size;
    mf__frame_type type;

    int got = evbuffer_read(guard->in, guard->socket, 65536);
    while ((type = mf__frame_peek(guard->in, &payload, &size)) != 0) {
        obey(guard, type, payload, size);
        mf__frame_drain(guard->in, size);
    }
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        part_from_host(guard);
}

static void tell_host(guard_process *guard)
{
    if (evbuffer_get_length(guard->out) == 0 || guard->alone)
        return;
    if (evbuffer_write(guard->out, guard->socket) < 0 && errno != EAGAIN && errno != EINTR)
        part_from_host(guard);
}

/* Without the scribe there is no event log. */
static void tell_scribe(guard_process *guard)
{
    if (guard->lines_socket < 0 || evbuffer_get_length(guard->lines) == 0)
        return;
    if (evbuffer_write(guard->lines, guard->lines_socket) < 0 && errno != EAGAIN && errno != EINTR)
        guard->lines_socket = -1;
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
                               {guard->signals, POLLIN, 0},
                               {guard->lines_socket, POLLOUT, 0}};
    /* The last only where lines could not be sent at once. */
    nfds_t count = evbuffer_get_length(guard->lines) > 0 ? 4 : 3;
    if (poll(watched, count, TAILQ_EMPTY(&guard->wards.waiting) ? -1 : 0) < 0)
        return;
    bool due = watched[1].revents != 0;
    if (due && read(guard->timer, &expirations, sizeof expirations) < 0)
        due = false;
    if (watched[2].revents != 0 && read(guard->signals, signals, sizeof signals) < 0)
        return;
    /* What the host has said may be a later deadline. */
    if (watched[0].revents != 0 || due)
        listen_to_host(guard);
    if (due)
        check_deadlines(guard);
    start_next(guard);
    tell_host(guard); /* that it is at work: what follows may take long */
    reap(guard);
    sweep(guard);
    tell_host(guard);
    tell_scribe(guard);
}

static void settle_descriptors(guard_process *guard, int socket, int lines)
{
    int kept[] = {socket, lines};

    must(mf__descriptors_keep(kept, 2));
    guard->socket = kept[0];
    guard->lines_socket = kept[1];
    must(fcntl(guard->socket, F_SETFL, O_NONBLOCK));
    if (guard->lines_socket >= 0)
        must(fcntl(guard->lines_socket, F_SETFL, O_NONBLOCK));
    must(pipe2(guard->failures, O_CLOEXEC | O_NONBLOCK));
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

/* What was not recognised as a command's; but for what may not be killed. */
static void end_children(void)
{
    while (mf__children_kill() > 0 && (waitpid(-1, NULL, 0) > 0 || errno == EINTR))
        continue;
}

/* It has time now. */
static void finish_lines(guard_process *guard)
{
    if (guard->lines_socket < 0)
        return;
    fcntl(guard->lines_socket, F_SETFL, 0);
    while (evbuffer_get_length(guard->lines) > 0 && guard->lines_socket >= 0)
        tell_scribe(guard);
}

_Noreturn void mf__guard_process_run(int socket, int lines, const char *mark)
{
    static guard_process guard;

    setsid();
    prctl(PR_SET_NAME, "metafora-guard");
    raise_priority(&guard);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1));
    settle_descriptors(&guard, socket, lines);
    settle_signals(&guard);
    mf__wards_init(&guard.wards);
    guard.in = evbuffer_new();
    guard.out = evbuffer_new();
    guard.lines = evbuffer_new();
    must(guard.in == NULL || guard.out == NULL || guard.lines == NULL);
    guard.next_us = INT64_MAX;
    snprintf(guard.prefix, sizeof guard.prefix, "%s%s.", GUARD_VARIABLE, mark);

    while (!guard.alone || guard.wards.count > 0)
        turn(&guard);
    end_children();
    finish_lines(&guard);
    _exit(0);
}
