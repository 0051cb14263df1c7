/* Starting a command: fork, a clean child, exec. */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Ignored signals and the mask survive exec, and are not the command's business. What was sent to
 * the child until now takes effect. */
static void reset_signals(void)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The other end is the parent's, which reads it when this process has ended. */
static _Noreturn void fail(const mf__spawn_order *order, int error)
{
    mf__spawn_failure failure = {getpid(), error};
    if (write(order->failures, &failure, sizeof failure) < 0)
        _exit(1);
    _exit(0);
}

static int open_output(const mf__spawn_order *order)
{
    if (order->output[0] == '\0')
        return STDERR_FILENO;
    int file = open(order->output, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (file < 0) {
        int error = errno;
        dprintf(STDERR_FILENO, "cannot open %s: %s\n", order->output, strerror(error));
        fail(order, error);
    }
    if (write(file, order->note, strlen(order->note)) < 0)
        fail(order, errno);
    return file;
}

static void set_descriptors(const mf__spawn_order *order)
{
    int output = open_output(order);
    int null = open("/dev/null", O_RDONLY);

    if (null < 0)
        fail(order, errno);
    dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
}

static void run_child(const mf__spawn_order *order, pid_t parent)
{
    setpgid(0, 0);
    /* The parent may have died before this took effect. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(SPAWN_NO_COMMAND);
    setpriority(PRIO_PROCESS, 0, order->priority);
    set_descriptors(order);
    reset_signals();
    execvpe(order->arguments[0], order->arguments, order->environment);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", order->arguments[0], strerror(errno));
    _exit(SPAWN_NO_COMMAND);
}

/* Signals are blocked until the child has its own dispositions: one that came while the guard's, to
 * ignore it, were still in force would be lost. */
pid_t mf__spawn(const mf__spawn_order *order)
{
    sigset_t all, before;
    pid_t parent = getpid();

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        run_child(order, parent);
    sigprocmask(SIG_SETMASK, &before, NULL);
    /* In both, so that the group is there for whoever is first. EACCES: the child has exec'd. */
    if (pid > 0)
        setpgid(pid, pid);
    return pid;
}
