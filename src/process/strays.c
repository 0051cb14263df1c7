/* Finding processes by /proc. */
#include "process/strays.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/pidfd.h"

/* Reads the file whole into memory from malloc, with a NUL added; NULL: cannot be read. */
static char *read_whole(const char *path, size_t *length)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 16384, used = 0;
    char *text = descriptor >= 0 ? malloc(size) : NULL;
    ssize_t got = 0;

    while (text != NULL && (got = read(descriptor, text + used, size - used - 1)) > 0) {
        used += (size_t)got;
        if (size - used > 1)
            continue;
        char *larger = realloc(text, size *= 2);
        if (larger == NULL)
            break;
        text = larger;
    }
    if (descriptor >= 0)
        close(descriptor);
    if (text != NULL)
        text[used] = '\0';
    *length = used;
    return text;
}

/* The text behind the prefix, in memory from malloc; NULL: there is none. */
static char *read_mark(pid_t pid, const char *prefix)
{
    char path[64];
    size_t length, prefix_length = strlen(prefix);
    char *mark = NULL;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    char *environment = read_whole(path, &length);
    if (environment == NULL)
        return NULL;
    for (size_t at = 0; at < length && mark == NULL; at += strlen(environment + at) + 1)
        if (strncmp(environment + at, prefix, prefix_length) == 0)
            mark = strdup(environment + at + prefix_length);
    free(environment);
    return mark;
}

/* Everybody may read these, of processes of other users too. False: it is gone, or as good as. */
static bool read_kinship(pid_t pid, pid_t *group, pid_t *session)
{
    char path[64], state;
    size_t length;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    char *text = read_whole(path, &length);
    /* The name before may hold anything. */
    const char *fields = text != NULL ? strrchr(text, ')') : NULL;
    bool living = fields != NULL && sscanf(fields, ") %c %*d %d %d", &state, group, session) == 3 &&
                  state != 'Z' && state != 'X';
    free(text);
    return living;
}

/* Looks once more when it has the descriptor: what the first look saw may be gone, and its id
 * another process's. */
static void look(pid_t pid, const char *prefix, pid_t session,
                 void (*fn)(const mf__stray *, void *), void *arg)
{
    mf__stray stray = {.pid = pid, .descriptor = -1};
    bool is_one = true;

    for (int i = 0; i < 2 && is_one; i++) {
        pid_t its_session;
        if (i == 1)
            stray.descriptor = mf__pidfd_open(pid);
        char *mark = read_mark(pid, prefix);
        is_one = read_kinship(pid, &stray.group, &its_session) &&
                 (mark != NULL || its_session == session);
        stray.mark = mark;
        if (is_one && i == 1)
            fn(&stray, arg);
        free(mark);
    }
    if (stray.descriptor >= 0)
        close(stray.descriptor);
}

void mf__strays_each(const char *prefix, pid_t session,
                     void (*fn)(const mf__stray *stray, void *arg), void *arg)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 0 && pid != getpid())
            look((pid_t)pid, prefix, session, fn, arg);
    }
    if (directory != NULL)
        closedir(directory);
}

bool mf__stray_kill(const mf__stray *stray)
{
    return mf__pidfd_kill(stray->descriptor, stray->pid, SIGKILL) == 0 || errno != EPERM;
}

static char *read_children(void)
{
    char path[64];
    size_t length;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    return read_whole(path, &length);
}

long mf__children_count(void)
{
    char *text = read_children();
    long count = 0;

    if (text == NULL)
        return -1;
    for (const char *at = text; *at != '\0'; at++)
        count += *at == ' ';
    free(text);
    return count;
}

/* Their ids are theirs until this process reaps them. */
long mf__children_kill(void)
{
    char *text = read_children();
    char *at = text, *end;
    long sent = 0;

    while (at != NULL && *at != '\0') {
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        sent += pid > 0 && kill((pid_t)pid, SIGKILL) == 0;
        at = end;
        at += strspn(at, " ");
    }
    free(text);
    return sent;
}
