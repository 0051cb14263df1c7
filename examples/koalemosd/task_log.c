/* A task's log file. */
#include "task_log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A file's name may have 255 bytes; the end is for the hash and ".log". */
enum { LONGEST_NAME = 220, NOTE_SIZE = 2048 };

static uint64_t hash(const char *text)
{
    uint64_t value = 14695981039346656037u; /* FNV-1a */
    for (; *text != '\0'; text++)
        value = (value ^ (unsigned char)*text) * 1099511628211u;
    return value;
}

static int is_safe(const char *id, size_t at)
{
    return (id[at] >= 'a' && id[at] <= 'z') || (id[at] >= 'A' && id[at] <= 'Z') ||
           (id[at] >= '0' && id[at] <= '9') || id[at] == '-' || id[at] == '_' ||
           (id[at] == '.' && at > 0);
}

char *task_log_path(const char *directory, const char *id)
{
    char name[LONGEST_NAME + 32];
    char *path;
    size_t used = 0;

    for (size_t i = 0; id[i] != '\0'; i++) {
        if (used + 3 > LONGEST_NAME) {
            used += (size_t)snprintf(name + used, sizeof name - used, "-%016" PRIx64, hash(id));
            break;
        }
        if (is_safe(id, i))
            name[used++] = id[i];
        else
            used += (size_t)snprintf(name + used, 4, "%%%02X", (unsigned char)id[i]);
    }
    name[used] = '\0';
    return asprintf(&path, "%s/%s.log", directory, name) < 0 ? NULL : path;
}

static size_t put_date(char *text, size_t size)
{
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(text, size, "-- %Y-%m-%dT%H:%M:%S", &parts);
    return used + (size_t)snprintf(text + used, size - used, ".%03ldZ ", now.tv_nsec / 1000000);
}

int task_log_note(const char *path, const char *format, ...)
{
    char line[NOTE_SIZE];
    va_list arguments;

    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0)
        return -1;
    size_t used = put_date(line, sizeof line);
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    used = strlen(line);
    line[used++] = '\n';
    int code = write(file, line, used) == (ssize_t)used ? 0 : -1;
    close(file);
    return code;
}
