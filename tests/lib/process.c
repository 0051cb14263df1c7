/* Child processes of a test: they write to a file, end with the test, and are waited for by events.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Below net.ipv4.ip_local_port_range, whose ports outgoing connections take. */
#define PORT_FIRST 20000
#define PORT_COUNT 12000

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void poll_again(int64_t start_ms, const char *what)
{
    enum { LIMIT_MS = 30000, POLL_US = 20000 };

    if (clock_ms() - start_ms > LIMIT_MS)
        fail_msg("%s: not within %d ms", what, LIMIT_MS);
    usleep(POLL_US);
}

char *directory_new(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;

    if (asprintf(&path, "%s/mf-XXXXXX", parent != NULL ? parent : "/tmp") < 0 ||
        mkdtemp(path) == NULL)
        fail_msg("no temporary directory: %s", strerror(errno));
    return path;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

void directory_remove(char *path)
{
    if (path == NULL)
        return;
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

static bool is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool free = bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0;
    close(descriptor);
    return free;
}

int free_port(void)
{
    uint32_t random;

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(getrandom(&random, sizeof random, 0), sizeof random);
        int port = PORT_FIRST + (int)(random % PORT_COUNT);
        if (is_free(port))
            return port;
    }
    fail_msg("no free port");
    return 0;
}

static void run_child(const char *const *argv, int output, pid_t parent)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(argv[0], (char *const *)argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

void process_outrank_others(void)
{
    const struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};

    (void)sched_setscheduler(0, SCHED_RR, &lowest);
}

void process_start(process *p, const char *const *argv, const char *output)
{
    pid_t parent = getpid();
    int descriptor = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(descriptor >= 0);
    assert_true(strlen(output) < sizeof p->output);
    *p = (process){0};
    strcpy(p->output, output);
    p->pid = fork();
    if (p->pid == 0)
        run_child(argv, descriptor, parent);
    close(descriptor);
    assert_true(p->pid > 0);
}

static void reap(process *p)
{
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}

typedef struct end_watch {
    pid_t pid;
    int told; /* closed when the process has ended */
} end_watch;

static void *watch_end(void *arg)
{
    end_watch *watch = arg;
    siginfo_t info;

    while (waitid(P_PID, (id_t)watch->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    close(watch->told);
    free(watch);
    return NULL;
}

/* A descriptor that becomes readable when the process ends. Not a pidfd, which valgrind 3.19 does
 * not know. */
static int open_end(pid_t pid)
{
    end_watch *watch = malloc(sizeof *watch);
    int ends[2];
    pthread_t thread;
    sigset_t all, before;

    assert_non_null(watch);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *watch = (end_watch){.pid = pid, .told = ends[1]};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    assert_int_equal(pthread_create(&thread, NULL, watch_end, watch), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_detach(thread);
    return ends[0];
}

/* Waits for one of two descriptors, -1 for none; returns whether one is readable. */
static bool await_readable(int first, int second, int64_t until_ms)
{
    struct pollfd wanted[] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
    int count;

    do {
        int64_t left = until_ms - clock_ms();
        count = poll(wanted, 2, left > 0 ? (int)left : 0);
    } while (count < 0 && errno == EINTR);
    return count > 0;
}

bool process_has_ended(process *p)
{
    if (p->pid != 0 && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
        p->pid = 0;
    return p->pid == 0;
}

bool process_await_end(process *p, int timeout_ms)
{
    if (p->pid == 0)
        return true;
    int descriptor = open_end(p->pid);
    bool ended = await_readable(descriptor, -1, clock_ms() + timeout_ms);
    close(descriptor);
    if (ended)
        reap(p);
    return ended;
}

long process_output_size(const process *p)
{
    struct stat info;
    return stat(p->output, &info) == 0 ? (long)info.st_size : 0;
}

static bool output_has(const process *p, const char *text, long offset)
{
    long size = process_output_size(p) - offset;
    if (size <= 0)
        return false;
    char *content = malloc((size_t)size);
    FILE *file = fopen(p->output, "r");
    assert_true(content != NULL && file != NULL);
    fseek(file, offset, SEEK_SET);
    size_t got = fread(content, 1, (size_t)size, file);
    fclose(file);
    bool has = memmem(content, got, text, strlen(text)) != NULL;
    free(content);
    return has;
}

bool process_await_output(process *p, const char *text, long offset, int timeout_ms)
{
    int64_t until = clock_ms() + timeout_ms;
    int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int end = p->pid != 0 ? open_end(p->pid) : -1;
    char events[4096];

    assert_true(changes >= 0 && inotify_add_watch(changes, p->output, IN_MODIFY) >= 0);
    bool has = output_has(p, text, offset);
    while (!has && end >= 0 && await_readable(changes, end, until)) {
        bool changed = read(changes, events, sizeof events) > 0;
        has = output_has(p, text, offset);
        if (!has && !changed)
            break; /* it has ended */
    }
    close(changes);
    if (end >= 0)
        close(end);
    return has;
}

void process_signal(process *p, int signal_number)
{
    siginfo_t info;

    assert_true(p->pid > 0);
    assert_int_equal(kill(p->pid, signal_number), 0);
    if (signal_number == SIGSTOP)
        assert_int_equal(waitid(P_PID, (id_t)p->pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
}

void process_kill(process *p)
{
    if (p->pid == 0)
        return;
    kill(p->pid, SIGKILL);
    reap(p);
}

void process_terminate(process *p)
{
    if (p->pid == 0)
        return;
    kill(p->pid, SIGTERM);
    if (!process_await_end(p, 5000))
        process_kill(p);
}
