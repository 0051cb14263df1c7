/* Finding processes by /proc. */
#include "process/strays.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void look(pid_t pid, const char *prefix, void (*fn)(pid_t, const char *, void *), void *arg)
{
    char path[64];
    size_t length, prefix_length = strlen(prefix);

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    char *environment = read_whole(path, &length);
    if (environment == NULL)
        return;
    for (size_t at = 0; at < length; at += strlen(environment + at) + 1) {
        if (strncmp(environment + at, prefix, prefix_length) == 0) {
            fn(pid, environment + at + prefix_length, arg);
            break;
        }
    }
    free(environment);
}

void mf__strays_each(const char *prefix, void (*fn)(pid_t pid, const char *rest, void *arg),
                     void *arg)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 0 && pid != getpid())
            look((pid_t)pid, prefix, fn, arg);
    }
    if (directory != NULL)
        closedir(directory);
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

void mf__children_kill(void)
{
    char *text = read_children();
    char *at = text, *end;

    while (at != NULL && *at != '\0') {
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        if (pid > 0)
            kill((pid_t)pid, SIGKILL);
        at = end;
        at += strspn(at, " ");
    }
    free(text);
}
