/* Which mutant is in force, and which were reached: see mutants.h. */
#include "mutants.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { words_of_a_run = 6 };

static unsigned char unread[MF_MUTANTS_MOST];
static long cpu_ms;
static int without_leaks;

unsigned mf_mutant;
unsigned char *mf_mutants_reached = unread;

extern void cmocka_set_test_filter(const char *pattern) __attribute__((weak));
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return without_leaks;
}

/* A map survives whatever end the process comes to, and holds what its children reach. */
static void share(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *map = MAP_FAILED;

    if (file >= 0)
        map = mmap(NULL, MF_MUTANTS_MOST, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        abort();
    mf_mutants_reached = map;
    close(file);
}

/* A timer, since a limit counts whole seconds; and a child has none of its parent's. */
static void limit_cpu(void)
{
    struct sigevent kill = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec limit = {.it_value = {cpu_ms / 1000, cpu_ms % 1000 * 1000000}};
    timer_t timer;

    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &kill, &timer) != 0 ||
        timer_settime(timer, 0, &limit, NULL) != 0)
        abort();
}

/* The words are: mutant, processor time in ms, whether leaks are looked for, where to note what was
 * reached or nothing, the directory, the one test of a cmocka program or nothing. */
static void begin(char *words[])
{
    setsid();
    mf_mutant = (unsigned)strtoul(words[0], NULL, 10);
    cpu_ms = strtol(words[1], NULL, 10);
    without_leaks = words[2][0] == '0';
    if (words[3][0] != '\0')
        share(words[3]);
    if (chdir(words[4]) != 0)
        abort();
    setenv("TMPDIR", words[4], 1);
    if (words[5][0] != '\0' && cmocka_set_test_filter != NULL)
        cmocka_set_test_filter(words[5]);
    pthread_atfork(NULL, NULL, limit_cpu);
    limit_cpu();
}

/* Tells the child's number, and then its status and its processor time in microseconds. */
static void tell(int socket, pid_t child)
{
    struct rusage usage;
    char text[64];
    int status = 0;
    long long spent;

    snprintf(text, sizeof text, "%d", (int)child);
    send(socket, text, strlen(text), MSG_NOSIGNAL);
    wait4(child, &status, 0, &usage);
    spent = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
            usage.ru_stime.tv_usec;
    snprintf(text, sizeof text, "%d %lld", status, spent);
    send(socket, text, strlen(text), MSG_NOSIGNAL);
}

/* Returns in a child only. */
static void serve(int socket)
{
    char request[8192], *words[words_of_a_run];
    ssize_t length;
    pid_t child;

    fcntl(socket, F_SETFD, FD_CLOEXEC);
    while ((length = recv(socket, request, sizeof request - 1, 0)) > 0) {
        request[length] = '\0';
        for (size_t i = 0, at = 0; i < words_of_a_run; i++, at += strlen(&request[at]) + 1)
            words[i] = &request[at];
        child = fork();
        if (child == 0) {
            close(socket);
            begin(words);
            return;
        }
        tell(socket, child);
    }
    _exit(0);
}

/* Before other constructors, since they may have mutants too. */
__attribute__((constructor(101))) static void start(void)
{
    const char *socket = getenv("METAFORA_MUTANTS");

    if (socket == NULL)
        return;
    unsetenv("METAFORA_MUTANTS");
    serve(atoi(socket));
}
