/* A consumer in a process of its own: this program again, as `node`. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu.h"

static _Noreturn void run_node(pid_t parent, int out, const bench_rig *rig, const char *name_space,
                               const char *name)
{
    char lease[24];
    snprintf(lease, sizeof lease, "%ld", rig->options->lease_ms);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    dup2(out, STDOUT_FILENO);
    execl("/proc/self/exe", "metafora-bench", "node", "--broker", rig->url, "--namespace",
          name_space, "--name", name, "--lease-ms", lease, (char *)NULL);
    dprintf(STDERR_FILENO, "metafora-bench: cannot run itself: %s\n", strerror(errno));
    _exit(127);
}

void child_start(bench_child *child, const bench_rig *rig, const char *name_space, const char *name)
{
    int ends[2];
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0)
        bench_fail("pipe: %s", strerror(errno));
    *child = (struct bench_child){.pipe = ends[0]};
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (child->pid == 0)
        run_node(parent, ends[1], rig, name_space, name);
    close(ends[1]);
}

static void take_line(bench_child *child, const char *line)
{
    size_t running;
    double at;
    if (strcmp(line, "joined") == 0) {
        child->joined = true;
    } else if (sscanf(line, "running %zu %lf", &running, &at) == 2) {
        if (running > child->running)
            child->changed = at;
        child->running = running;
    }
}

static void take_lines(bench_child *child)
{
    ssize_t got =
        read(child->pipe, child->text + child->length, sizeof child->text - child->length);
    if (got <= 0)
        bench_fail("a node has ended");
    child->length += (size_t)got;
    char *line = child->text, *end;
    while ((end = memchr(line, '\n', child->length - (size_t)(line - child->text))) != NULL) {
        *end = '\0';
        take_line(child, line);
        line = end + 1;
    }
    child->length -= (size_t)(line - child->text);
    memmove(child->text, line, child->length);
}

void child_await(bench_child *children, size_t count, bool (*done)(void *arg), void *arg,
                 double limit_s, const char *what)
{
    struct pollfd ready[BENCH_MOST_NODES];
    double limit = cpu_now() + limit_s;
    while (!done(arg)) {
        for (size_t i = 0; i < count; i++)
            ready[i] = (struct pollfd){.fd = children[i].pid != 0 ? children[i].pipe : -1,
                                       .events = POLLIN};
        double left = limit - cpu_now();
        if (left <= 0)
            bench_fail("%s", what);
        poll(ready, count, (int)(left * 1000) + 1);
        for (size_t i = 0; i < count; i++)
            if (ready[i].revents != 0)
                take_lines(&children[i]);
    }
}

void child_end(bench_child *child, int signal_number)
{
    if (child->pid == 0)
        return;
    kill(child->pid, signal_number);
    waitpid(child->pid, NULL, 0);
    close(child->pipe);
    child->pid = 0;
}
