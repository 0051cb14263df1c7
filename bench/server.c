/* A redis-server of the run's own, in a temporary directory. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "cpu.h"
#include "resp.h"

enum { ATTEMPTS = 5, START_LIMIT_S = 10 };

/* In static memory, where the signal handler finds it. */
static struct {
    volatile pid_t pid;
    char directory[64];
    char socket[96];
    char url[128];
    char log[8192]; /* of its start */
    size_t log_length;
} server;

static void remove_files(void)
{
    unlink(server.socket);
    rmdir(server.directory);
}

static void on_signal(int number)
{
    if (server.pid != 0)
        kill(server.pid, SIGKILL);
    remove_files();
    signal(number, SIG_DFL);
    raise(number);
}

static void end_process(void)
{
    pid_t pid = server.pid;
    if (pid == 0)
        return;
    kill(pid, SIGKILL); /* it holds nothing worth a clean end */
    waitpid(pid, NULL, 0);
    server.pid = 0;
}

void server_stop(void)
{
    end_process();
    remove_files();
}

static void arrange_end(void)
{
    static bool arranged;
    if (arranged)
        return;
    arranged = true;
    atexit(server_stop);
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], on_signal);
}

static void make_directory(void)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || strlen(parent) > 32)
        parent = "/tmp";
    snprintf(server.directory, sizeof server.directory, "%s/mf-bench-XXXXXX", parent);
    if (mkdtemp(server.directory) == NULL)
        bench_fail("%s: %s", server.directory, strerror(errno));
    snprintf(server.socket, sizeof server.socket, "%s/redis.sock", server.directory);
}

/* The kernel's choice. It is free again before the server takes it, so a start may fail and is then
 * made with another one. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, length) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&address, &length) != 0)
        bench_fail("no loopback port: %s", strerror(errno));
    close(descriptor);
    return ntohs(address.sin_port);
}

static _Noreturn void run_server(pid_t parent, const char *port, const char *socket, int log)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    /* A ^C is this process's affair, which then ends the server. */
    setpgid(0, 0);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket",
           socket, "--save", "", "--appendonly", "no", "--dir", server.directory,
           "--maxmemory-policy", "noeviction", (char *)NULL);
    dprintf(STDERR_FILENO, "redis-server: %s\n", strerror(errno));
    _exit(127);
}

/* Returns the end of a pipe that the server's log comes from. */
static int spawn(bool unix_socket)
{
    char port[16] = "0";
    int log[2];
    if (unix_socket) {
        snprintf(server.url, sizeof server.url, "unix://%s", server.socket);
    } else {
        snprintf(port, sizeof port, "%d", free_port());
        snprintf(server.url, sizeof server.url, "redis://127.0.0.1:%s", port);
    }
    fflush(NULL);
    pid_t parent = getpid();
    if (pipe2(log, O_CLOEXEC) != 0)
        bench_fail("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (pid == 0)
        run_server(parent, port, unix_socket ? server.socket : "", log[1]);
    server.pid = pid;
    close(log[1]);
    return log[0];
}

/* Reads the log until it says that the server is ready; false when the server has ended instead. */
static bool await_ready(int log)
{
    double limit = cpu_now() + START_LIMIT_S;
    server.log_length = 0;
    while (server.log_length < sizeof server.log - 1) {
        struct pollfd ready = {.fd = log, .events = POLLIN};
        double left = limit - cpu_now();
        if (left <= 0 || poll(&ready, 1, (int)(left * 1000) + 1) < 0)
            break;
        ssize_t got =
            read(log, server.log + server.log_length, sizeof server.log - 1 - server.log_length);
        if (got <= 0)
            break;
        server.log_length += (size_t)got;
        server.log[server.log_length] = '\0';
        if (strstr(server.log, "eady to accept connections") != NULL)
            return true;
    }
    return false;
}

/* The log's pipe stays open, or the server could not write to it, but is not read any more: only
 * warnings may come, for which it has room. */
static void quiet(void)
{
    resp *connection = resp_open(server.url);
    resp_expect_ok(connection, 4, (const char *[]){"CONFIG", "SET", "loglevel", "warning"});
    resp_close(connection);
}

const char *server_start(bool unix_socket)
{
    make_directory();
    arrange_end();
    for (int i = 0; i < ATTEMPTS; i++) {
        int log = spawn(unix_socket);
        if (await_ready(log)) {
            quiet();
            return server.url;
        }
        end_process();
        close(log);
    }
    bench_fail("redis-server does not start: %s", server.log);
}

double server_cpu(void)
{
    return server.pid != 0 ? cpu_of(server.pid) : 0;
}

double server_preemptions(void)
{
    return server.pid != 0 ? cpu_preemptions(server.pid) : 0;
}

bool server_is_running(void)
{
    return server.pid != 0;
}
