/* The nodes as koalemosd processes, on a redis-server of the demo's own. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <metafora/driver.h>

#include "stage.h"

enum { SERVER_PATIENCE_MS = 10000 };

static pid_t server, daemons[STAGE_NODES];

/* They end with the demo, even if it is killed. `output` becomes their stdout and stderr. */
static pid_t launch(const char *const *arguments, int output)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(arguments[0], (char *const *)arguments);
    dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

/* Reads what the server says until it says that it is ready. */
static int await_ready(int output)
{
    char text[8192];
    size_t used = 0;
    struct pollfd watched = {output, POLLIN, 0};

    while (used < sizeof text - 1 && poll(&watched, 1, SERVER_PATIENCE_MS) > 0) {
        ssize_t got = read(output, text + used, sizeof text - 1 - used);
        if (got <= 0)
            break;
        used += (size_t)got;
        text[used] = '\0';
        if (strstr(text, "eady to accept connections") != NULL)
            return 0;
    }
    text[used] = '\0';
    fprintf(stderr, "%s", text);
    return -1;
}

static int start_server(const char *directory, mf_error *error)
{
    char socket[128];
    int ends[2];
    const char *const arguments[] = {"redis-server", "--port", "0",       "--unixsocket",
                                     socket,         "--save", "",        "--appendonly",
                                     "yes",          "--dir",  directory, NULL};

    snprintf(socket, sizeof socket, "%s/redis.sock", directory);
    snprintf(stage_redis.url, sizeof stage_redis.url, "unix://%s", socket);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return mf_error_set(error, MF_ESYSTEM, "pipe: %s", strerror(errno));
    server = launch(arguments, ends[1]);
    close(ends[1]);
    int ready = await_ready(ends[0]);
    /* The read end stays open, so that the server can go on writing for a while; it says little. */
    if (ready != 0)
        return mf_error_set(error, MF_ESYSTEM, "redis-server did not start");
    return MF_OK;
}

/* koalemosd lies beside this program. */
static int find_daemon(char *path, size_t size, mf_error *error)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (length < 0)
        return mf_error_set(error, MF_ESYSTEM, "/proc/self/exe: %s", strerror(errno));
    self[length] = '\0';
    snprintf(path, size, "%s/koalemosd", dirname(self));
    return MF_OK;
}

static int set_up(const char *directory, const char *const *names, mf_error *error)
{
    char program[PATH_MAX + 16], events[128], lease[16], log[128];

    int code = start_server(directory, error);
    if (code == MF_OK)
        code = find_daemon(program, sizeof program, error);
    if (code != MF_OK)
        return code;
    snprintf(events, sizeof events, "%s/events", directory);
    snprintf(log, sizeof log, "%s/koalemosd.log", directory);
    snprintf(lease, sizeof lease, "%d", STAGE_LEASE_MS);
    int output = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    for (int i = 0; i < STAGE_NODES; i++) {
        const char *const arguments[] = {program, "--broker",  stage_redis.url, "--namespace",
                                         "demo",  "--name",    names[i],        "--lease-ms",
                                         lease,   "--log-dir", directory,       "--events",
                                         events,  NULL};
        daemons[i] = launch(arguments, output);
    }
    close(output);
    return MF_OK;
}

static void end(pid_t *pid, int number)
{
    if (*pid > 0) {
        kill(*pid, number);
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    *pid = 0;
}

static void lose(int number)
{
    end(&daemons[number], SIGKILL);
}

static void tear_down(void)
{
    for (int i = 0; i < STAGE_NODES; i++)
        if (daemons[i] > 0)
            kill(daemons[i], SIGTERM);
    for (int i = 0; i < STAGE_NODES; i++)
        end(&daemons[i], SIGTERM);
    end(&server, SIGTERM);
}

stage stage_redis = {
    .name = "redis",
    .what = "three processes, on a Redis server of their own",
    .how = "is killed by kill -9",
    .set_up = set_up,
    .lose = lose,
    .tear_down = tear_down,
};
