/* The scribe: one packet is one line. */
#include "scribe.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void run(int lines, int file)
{
    char line[8192];
    ssize_t length;

    setsid();
    prctl(PR_SET_NAME, "koalemos-scribe");
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    dup2(lines, STDIN_FILENO);
    dup2(file, STDOUT_FILENO);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    while ((length = read(STDIN_FILENO, line, sizeof line)) > 0)
        if (write(STDOUT_FILENO, line, (size_t)length) < 0)
            break;
    _exit(0);
}

pid_t scribe_start(koa_event_log *log)
{
    int ends[2];

    if (log->descriptor < 0)
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        run(ends[1], log->descriptor);
    close(ends[1]);
    close(log->descriptor);
    log->descriptor = ends[0];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return pid;
}
