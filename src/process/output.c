/* A task's output: the name of its file, and the notes in it. */
#include "process/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <metafora/process.h>

/* A file's name may have 255 bytes; the end is for the hash and ".log". */
enum { LONGEST_NAME = 220 };

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

char *mf_process_output_path(const char *directory, const char *id)
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

size_t mf__output_note(char line[MF_NOTE_SIZE], const char *text)
{
    size_t used = put_date(line, MF_NOTE_SIZE);

    for (; *text != '\0' && used < MF_NOTE_SIZE - 2; text++)
        line[used++] = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
    line[used++] = '\n';
    line[used] = '\0';
    return used;
}
