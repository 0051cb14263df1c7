/* A redis-server or an etcd of the run's own, in a temporary directory. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "cpu.h"

enum { ATTEMPTS = 5, START_LIMIT_S = 20 };

/* In static memory, where the signal handler finds it. */
static struct {
    volatile pid_t pid;
    volatile pid_t replicas[BENCH_MOST_REPLICAS];
    volatile int replica_count;
    char directory[64];
    char socket[96], data[96], log_path[96];
    char url[128];
    char log[32768]; /* of its start */
} server;

/* By a program of the system's, so that a signal handler may do it. */
static void remove_files(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", "--", server.directory, (char *)NULL);
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

static void on_signal(int number)
{
    if (server.pid != 0)
        kill(server.pid, SIGKILL);
    for (int i = 0; i < server.replica_count; i++)
        kill(server.replicas[i], SIGKILL);
    remove_files();
    signal(number, SIG_DFL);
    raise(number);
}

/* It holds nothing worth a clean end. */
static void end_process(pid_t pid)
{
    if (pid == 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void end_server(void)
{
    end_process(server.pid);
    server.pid = 0;
}

void server_stop(void)
{
    end_server();
    while (server.replica_count > 0)
        end_process(server.replicas[--server.replica_count]);
    if (server.directory[0] != '\0')
        remove_files();
    server.directory[0] = '\0';
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
    snprintf(server.data, sizeof server.data, "%s/etcd", server.directory);
    snprintf(server.log_path, sizeof server.log_path, "%s/log", server.directory);
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

static _Noreturn void run_server(pid_t parent, const char *const *arguments, int log)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    /* A ^C is this process's affair, which then ends the server. */
    setpgid(0, 0);
    execvp(arguments[0], (char *const *)arguments);
    dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

static pid_t spawn(const char *const *arguments, const char *log_path)
{
    fflush(NULL);
    pid_t parent = getpid();
    int log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid = log >= 0 ? fork() : -1;
    if (pid < 0)
        bench_fail("%s: %s", arguments[0], strerror(errno));
    if (pid == 0)
        run_server(parent, arguments, log);
    close(log);
    return pid;
}

static void read_log(void)
{
    int log = open(server.log_path, O_RDONLY | O_CLOEXEC);
    ssize_t length = log >= 0 ? read(log, server.log, sizeof server.log - 1) : 0;
    server.log[length > 0 ? length : 0] = '\0';
    if (log >= 0)
        close(log);
}

static bool has_ended(void)
{
    if (waitpid(server.pid, NULL, WNOHANG) == 0)
        return false;
    server.pid = 0;
    return true;
}

/* Reads the log until it has a line with `text`, of which it returns what follows; NULL when the
 * server has ended instead. */
static const char *await_ready(const char *text)
{
    double limit = cpu_now() + START_LIMIT_S;
    int news = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    const char *found = NULL;
    inotify_add_watch(news, server.log_path, IN_MODIFY);
    for (;;) {
        char events[4096];
        struct pollfd ready = {.fd = news, .events = POLLIN};
        double left = limit - cpu_now();
        read_log();
        found = strstr(server.log, text);
        if ((found != NULL && strchr(found, '\n') != NULL) || left <= 0 || has_ended())
            break;
        /* An end is no news. */
        poll(&ready, 1, left < 0.2 ? (int)(left * 1000) + 1 : 200);
        while (read(news, events, sizeof events) > 0)
            continue;
    }
    close(news);
    return found != NULL ? found + strlen(text) : NULL;
}

static bool start_redis(bool unix_socket)
{
    char port[16] = "0";
    const char *const arguments[] = {"redis-server",
                                     "--port",
                                     port,
                                     "--bind",
                                     "127.0.0.1",
                                     "--unixsocket",
                                     unix_socket ? server.socket : "",
                                     "--save",
                                     "",
                                     "--appendonly",
                                     "no",
                                     "--dir",
                                     server.directory,
                                     "--maxmemory-policy",
                                     "noeviction",
                                     NULL};
    if (unix_socket) {
        snprintf(server.url, sizeof server.url, "unix://%s", server.socket);
    } else {
        snprintf(port, sizeof port, "%d", free_port());
        snprintf(server.url, sizeof server.url, "redis://127.0.0.1:%s", port);
    }
    server.pid = spawn(arguments, server.log_path);
    return await_ready("eady to accept connections") != NULL;
}

/* Its ports are the kernel's choice; it says which one is for clients. */
static bool start_etcd(void)
{
    static const char any[] = "http://127.0.0.1:0", itself[] = "default=http://127.0.0.1:0";
    const char *const arguments[] = {"etcd",
                                     "--data-dir",
                                     server.data,
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
    server.pid = spawn(arguments, server.log_path);
    const char *rest = await_ready("\"msg\":\"serving client traffic");
    const char *address = rest != NULL ? strstr(rest, "\"address\":\"") : NULL;
    if (address == NULL)
        return false;
    address += strlen("\"address\":\"");
    snprintf(server.url, sizeof server.url, "etcd://%.*s", (int)strcspn(address, "\""), address);
    return true;
}

const char *server_start(server_kind kind)
{
    make_directory();
    arrange_end();
    for (int i = 0; i < ATTEMPTS; i++) {
        if (kind == SERVER_ETCD ? start_etcd() : start_redis(kind == SERVER_REDIS_UNIX))
            return server.url;
        end_server();
    }
    bench_fail("the server does not start: %s", server.log);
}

void server_add_replica(void)
{
    char port[16], directory[96], log_path[112];
    const char *master = strrchr(server.url, ':') + 1;
    const char *const arguments[] = {"redis-server", "--port", port,      "--bind",
                                     "127.0.0.1",    "--save", "",        "--appendonly",
                                     "no",           "--dir",  directory, "--replicaof",
                                     "127.0.0.1",    master,   NULL};

    snprintf(directory, sizeof directory, "%s/replica-%d", server.directory, server.replica_count);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    snprintf(port, sizeof port, "%d", free_port());
    if (mkdir(directory, 0700) != 0)
        bench_fail("%s: %s", directory, strerror(errno));
    server.replicas[server.replica_count] = spawn(arguments, log_path);
    server.replica_count++;
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
