/* The nodes as koalemosd processes, on a server of the demo's own: Redis or etcd. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
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

/* Reads the server's log, in a file, until it has a line with `ready`; returns what follows in it.
 */
static const char *await_text(const char *path, char *text, size_t size, const char *ready)
{
    int log = open(path, O_RDONLY | O_CLOEXEC);
    int news = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd watched = {news, POLLIN, 0};
    const char *found = NULL;
    char events[4096];

    inotify_add_watch(news, path, IN_MODIFY);
    do {
        while (read(news, events, sizeof events) > 0)
            continue;
        ssize_t got = pread(log, text, size - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        found = strstr(text, ready);
    } while ((found == NULL || strchr(found, '\n') == NULL) &&
             poll(&watched, 1, SERVER_PATIENCE_MS) > 0);
    close(news);
    close(log);
    return found != NULL ? found + strlen(ready) : NULL;
}

/* Starts it and waits until it is ready; returns what it says behind that word, or NULL. */
static const char *start_server(const char *directory, const char *const *arguments,
                                const char *ready, mf_error *error)
{
    static char text[32768];
    char path[128];

    snprintf(path, sizeof path, "%s/server.log", directory);
    int log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    server = launch(arguments, log);
    close(log);
    const char *rest = await_text(path, text, sizeof text, ready);
    if (rest == NULL) {
        fprintf(stderr, "%s", text);
        mf_error_set(error, MF_ESYSTEM, "%s did not start", arguments[0]);
    }
    return rest;
}

static int start_redis(const char *directory, mf_error *error)
{
    char socket[128];
    const char *const arguments[] = {"redis-server", "--port", "0",       "--unixsocket",
                                     socket,         "--save", "",        "--appendonly",
                                     "yes",          "--dir",  directory, NULL};

    snprintf(socket, sizeof socket, "%s/redis.sock", directory);
    snprintf(stage_redis.url, sizeof stage_redis.url, "unix://%s", socket);
    if (start_server(directory, arguments, "eady to accept connections", error) == NULL)
        return MF_ESYSTEM;
    return MF_OK;
}

/* Its ports are the kernel's choice; the one for clients is read from what it says. */
static int start_etcd(const char *directory, mf_error *error)
{
    static const char any[] = "http://127.0.0.1:0", itself[] = "default=http://127.0.0.1:0";
    char data[128];
    const char *const arguments[] = {"etcd",
                                     "--data-dir",
                                     data,
                                     "--logger=zap",
                                     "--log-outputs=stderr",
                                     "--enable-grpc-gateway=false",
                                     "--listen-client-urls",
                                     any,
                                     "--advertise-client-urls",
                                     any,
                                     "--listen-peer-urls",
                                     any,
                                     "--initial-advertise-peer-urls",
                                     any,
                                     "--initial-cluster",
                                     itself,
                                     NULL};

    snprintf(data, sizeof data, "%s/etcd", directory);
    const char *said =
        start_server(directory, arguments, "\"msg\":\"serving client traffic", error);
    const char *address = said != NULL ? strstr(said, "\"address\":\"") : NULL;
    if (said == NULL)
        return MF_ESYSTEM;
    if (address == NULL)
        return mf_error_set(error, MF_ESYSTEM, "etcd does not say its address");
    address += strlen("\"address\":\"");
    snprintf(stage_etcd.url, sizeof stage_etcd.url, "etcd://%.*s", (int)strcspn(address, "\""),
             address);
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

static int start_daemons(const char *url, const char *directory, const char *const *names,
                         mf_error *error)
{
    char program[PATH_MAX + 16], events[128], lease[16], log[128];

    int code = find_daemon(program, sizeof program, error);
    if (code != MF_OK)
        return code;
    snprintf(events, sizeof events, "%s/events", directory);
    snprintf(log, sizeof log, "%s/koalemosd.log", directory);
    snprintf(lease, sizeof lease, "%d", STAGE_LEASE_MS);
    int output = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    for (int i = 0; i < STAGE_NODES; i++) {
        const char *const arguments[] = {
            program,      "--broker", url,         "--namespace", "demo",     "--name", names[i],
            "--lease-ms", lease,      "--log-dir", directory,     "--events", events,   NULL};
        daemons[i] = launch(arguments, output);
    }
    close(output);
    return MF_OK;
}

static int set_up_redis(const char *directory, const char *const *names, mf_error *error)
{
    int code = start_redis(directory, error);
    return code == MF_OK ? start_daemons(stage_redis.url, directory, names, error) : code;
}

static int set_up_etcd(const char *directory, const char *const *names, mf_error *error)
{
    int code = start_etcd(directory, error);
    return code == MF_OK ? start_daemons(stage_etcd.url, directory, names, error) : code;
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
    .set_up = set_up_redis,
    .lose = lose,
    .tear_down = tear_down,
};

stage stage_etcd = {
    .name = "etcd",
    .what = "three processes, on an etcd server of their own",
    .how = "is killed by kill -9",
    .set_up = set_up_etcd,
    .lose = lose,
    .tear_down = tear_down,
};
