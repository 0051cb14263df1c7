/* What commands use, and what their end means. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "process/internal.h"

mf_message mf_process_exit_message(const mf_process_end *end)
{
    if (end->signal_number != 0)
        return mf_message_error("signal %d (%s)", end->signal_number,
                                strsignal(end->signal_number));
    if (end->exit_status == 0)
        return mf_message_of(MF_MESSAGE_COMPLETE);
    if (end->exit_status == EX_TEMPFAIL)
        return mf_message_of(MF_MESSAGE_RELEASE);
    return mf_message_error("exit status %d", end->exit_status);
}

void mf__usage_describe(char *text, size_t size, const mf_process_end *end)
{
    snprintf(text, size, "%.2f s user, %.2f s system, %.1f MiB", (double)end->user_us / 1e6,
             (double)end->system_us / 1e6, (double)end->max_rss_bytes / 1048576);
}

/* The fields of /proc/PID/stat from the third on; the second, the name, may hold anything. */
static int read_stat(pid_t pid, char *text, size_t size, const char **fields)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    size_t length = fread(text, 1, size - 1, file);
    fclose(file);
    text[length] = '\0';
    *fields = strrchr(text, ')');
    return *fields != NULL ? 0 : -1;
}

int mf_process_get_info(const mf_task *task, mf_process_info *out)
{
    const mf__job *job = mf_task_data(task);
    int64_t tick_us = 1000000 / sysconf(_SC_CLK_TCK);
    int64_t user, system, child_user, child_system, pages;
    const char *fields;
    char text[1024];

    /* Fields 14 to 17 and 24, as proc(5) counts them. */
    if (job == NULL || job->pid == 0 || read_stat(job->pid, text, sizeof text, &fields) != 0 ||
        sscanf(fields,
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNd64 " %" SCNd64 " %" SCNd64
               " %" SCNd64 " %*d %*d %*d %*d %*u %*u %" SCNd64,
               &user, &system, &child_user, &child_system, &pages) != 5)
        return MF_EGONE;
    out->pid = job->pid;
    out->run_us = mf__steady_us() - job->started_us;
    out->user_us = (user + child_user) * tick_us;
    out->system_us = (system + child_system) * tick_us;
    out->rss_bytes = pages * sysconf(_SC_PAGESIZE);
    return MF_OK;
}
