/* Reporters for the resource balancer: memory and CPU of a Linux system. */
#include "balancer/report.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "balancer/balancer.h"

/* Reads the beginning of a file of /proc, which one call gives whole. */
static int read_text(char *text, size_t size, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return MF_ESYSTEM;
    ssize_t length = read(file, text, size - 1);
    close(file);
    if (length < 0)
        return MF_ESYSTEM;
    text[length] = '\0';
    return MF_OK;
}

/* The number behind `name` at the beginning of a line. */
static int find_number(uint64_t *out, const char *text, const char *name)
{
    size_t length = strlen(name);

    while (text != NULL && strncmp(text, name, length) != 0) {
        text = strchr(text, '\n');
        if (text != NULL)
            text++;
    }
    if (text == NULL)
        return MF_EPROTO;
    text += length + strspn(text + length, " ");
    char *end;
    *out = strtoull(text, &end, 10);
    return end != text && *text != '-' ? MF_OK : MF_EPROTO;
}

int mf__report_meminfo(uint64_t *used, uint64_t *total, const char *text)
{
    uint64_t all, available;

    if (find_number(&all, text, "MemTotal:") != MF_OK ||
        find_number(&available, text, "MemAvailable:") != MF_OK)
        return MF_EPROTO;
    *total = all * 1024;
    *used = available < all ? (all - available) * 1024 : 0;
    return MF_OK;
}

/* Read by hand: strtod goes by the locale's decimal point. */
int mf__report_loadavg(uint64_t *used, const char *text)
{
    char *end;
    uint64_t whole = strtoull(text, &end, 10);
    unsigned thousandths = 0;

    if (end == text || *text == '-' || *end != '.')
        return MF_EPROTO;
    for (unsigned scale = 100; scale != 0 && *++end >= '0' && *end <= '9'; scale /= 10)
        thousandths += (unsigned)(*end - '0') * scale;
    *used = whole * 1000 + thousandths;
    return MF_OK;
}

int mf_report_memory(uint64_t *used, uint64_t *total, void *payload)
{
    char text[4096];
    int code = read_text(text, sizeof text, "/proc/meminfo");

    (void)payload;
    return code == MF_OK ? mf__report_meminfo(used, total, text) : code;
}

int mf_report_cpu(uint64_t *used, uint64_t *total, void *payload)
{
    char text[128];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int code = read_text(text, sizeof text, "/proc/loadavg");

    (void)payload;
    if (code != MF_OK)
        return code;
    *total = (uint64_t)(processors > 0 ? processors : 1) * 1000;
    return mf__report_loadavg(used, text);
}
