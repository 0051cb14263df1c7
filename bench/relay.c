/* A network between this program and a server on loopback. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "cpu.h"

enum { MOST_SOCKETS = 32, MOST_PIECES = 64, PIECE_BYTES = 65536 };

/* Bytes on their way. */
typedef struct piece {
    double due; /* by cpu_now */
    size_t length;
    char bytes[PIECE_BYTES];
} piece;

/* From one socket to its peer, the socket's neighbour in the table. A ring. */
typedef struct line {
    piece *pieces;
    size_t first, count;
} line;

static pid_t relay;

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int open_listener(int *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, MOST_SOCKETS) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        bench_fail("relay: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return listener;
}

static void send_at_once(int socket)
{
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

/* The table's first socket is the listener; then come pairs of a client's and the server's. */
static size_t accept_pair(struct pollfd *sockets, size_t count, int port)
{
    struct sockaddr_in address = loopback(port);
    int client = accept4(sockets[0].fd, NULL, NULL, SOCK_CLOEXEC);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || server < 0 || count + 2 > MOST_SOCKETS ||
        connect(server, (struct sockaddr *)&address, sizeof address) != 0)
        _exit(1);
    send_at_once(client);
    send_at_once(server);
    sockets[count] = (struct pollfd){.fd = client, .events = POLLIN};
    sockets[count + 1] = (struct pollfd){.fd = server, .events = POLLIN};
    return count + 2;
}

static size_t peer_of(size_t socket)
{
    return socket % 2 == 1 ? socket + 1 : socket - 1;
}

/* An end is passed on at once: nobody waits for what was under way. */
static void take_in(struct pollfd *sockets, line *lines, size_t i, double delay)
{
    line *l = &lines[i];
    piece *p = &l->pieces[(l->first + l->count) % MOST_PIECES];
    ssize_t got = recv(sockets[i].fd, p->bytes, sizeof p->bytes, 0);
    if (got <= 0) {
        shutdown(sockets[peer_of(i)].fd, SHUT_RDWR);
        close(sockets[i].fd);
        sockets[i].fd = -1;
        return;
    }
    p->due = cpu_now() + delay;
    p->length = (size_t)got;
    l->count++;
}

static void pass_on(const struct pollfd *sockets, line *l, size_t i, double now)
{
    while (l->count > 0 && l->pieces[l->first].due <= now) {
        const piece *p = &l->pieces[l->first];
        send(sockets[peer_of(i)].fd, p->bytes, p->length, MSG_NOSIGNAL);
        l->first = (l->first + 1) % MOST_PIECES;
        l->count--;
    }
}

/* Until the first of all pieces is due. */
static const struct timespec *pause_for(const line *lines, size_t count, struct timespec *out)
{
    double due = 0, now = cpu_now();
    for (size_t i = 1; i < count; i++)
        if (lines[i].count > 0 && (due == 0 || lines[i].pieces[lines[i].first].due < due))
            due = lines[i].pieces[lines[i].first].due;
    if (due == 0)
        return NULL;
    *out = (struct timespec){.tv_nsec = due > now ? (long)((due - now) * 1e9) : 0};
    return out;
}

static _Noreturn void run(int listener, int port, double delay)
{
    struct pollfd sockets[MOST_SOCKETS] = {{.fd = listener, .events = POLLIN}};
    static line lines[MOST_SOCKETS];
    size_t count = 1;
    for (;;) {
        struct timespec left;
        for (size_t i = 1; i < count; i++)
            sockets[i].events = lines[i].count < MOST_PIECES ? POLLIN : 0;
        ppoll(sockets, count, pause_for(lines, count, &left), NULL);
        for (size_t i = 1; i < count; i++) {
            if (lines[i].pieces == NULL &&
                (lines[i].pieces = calloc(MOST_PIECES, sizeof(piece))) == NULL)
                _exit(1);
            if (sockets[i].fd >= 0 && sockets[i].revents != 0 && lines[i].count < MOST_PIECES)
                take_in(sockets, lines, i, delay);
            pass_on(sockets, &lines[i], i, cpu_now());
        }
        if (sockets[0].revents != 0)
            count = accept_pair(sockets, count, port);
    }
}

int relay_start(int port, long delay_us)
{
    int own_port, listener = open_listener(&own_port);
    pid_t parent = getpid();
    relay = fork();
    if (relay < 0)
        bench_fail("relay: %s", strerror(errno));
    if (relay == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_TIMERSLACK, 1);
        signal(SIGINT, SIG_IGN); /* this process's affair */
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        if (getppid() != parent)
            _exit(1);
        run(listener, port, (double)delay_us / 1e6);
    }
    close(listener);
    return own_port;
}

void relay_stop(void)
{
    if (relay <= 0)
        return;
    kill(relay, SIGKILL);
    waitpid(relay, NULL, 0);
    relay = 0;
}
