/* Starting a command: fork, a clean child, exec. */
#include "spawn.h"

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

static void set_descriptors(const char *output)
{
    int null = open("/dev/null", O_RDONLY);
    int file = open(output, O_WRONLY | O_APPEND | O_CREAT, 0644);

    if (null < 0 || file < 0) {
        dprintf(STDERR_FILENO, "cannot open %s: %s\n", file < 0 ? output : "/dev/null",
                strerror(errno));
        _exit(SPAWN_NO_OUTPUT);
    }
    dup2(null, STDIN_FILENO);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
}

static void run_child(const spawn_order *order, pid_t parent)
{
    setpgid(0, 0);
    /* The parent may have died before this took effect. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(SPAWN_NO_COMMAND);
    setpriority(PRIO_PROCESS, 0, order->priority);
    set_descriptors(order->output);
    reset_signals();
    execvpe(order->arguments[0], order->arguments, order->environment);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", order->arguments[0], strerror(errno));
    _exit(SPAWN_NO_COMMAND);
}

/* Signals are blocked until the child has its own dispositions: one that came while the guard's, to
 * ignore it, were still in force would be lost. */
pid_t spawn(const spawn_order *order)
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
