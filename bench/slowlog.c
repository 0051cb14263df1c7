/* The longest script on a private server. */
#include "slowlog.h"

#include <stdio.h>
#include <string.h>

#include "resp.h"
#include "server.h"

static double preemptions; /* at slowlog_start */

void slowlog_start(const bench_rig *rig)
{
    if (!rig->private_server || !rig->redis)
        return;
    resp *connection = resp_open(rig->url);
    resp_expect_ok(connection, 6,
                   (const char *[]){"CONFIG", "SET", "slowlog-log-slower-than", "100",
                                    "slowlog-max-len", "100000"});
    resp_expect_ok(connection, 2, (const char *[]){"SLOWLOG", "RESET"});
    resp_expect_ok(connection, 2, (const char *[]){"CONFIG", "RESETSTAT"});
    resp_close(connection);
    preemptions = server_preemptions();
}

/* An entry: number, time, microseconds, arguments, client's address, client's name. */
static void read_slowlog(resp *connection, double *longest, double *over_5_ms)
{
    resp_cursor reply = resp_call(connection, 3, (const char *[]){"SLOWLOG", "GET", "-1"});
    long long entries = resp_next(&reply).number;
    for (long long i = 0; i < entries; i++) {
        long long parts = resp_next(&reply).number;
        resp_pass(&reply);
        resp_pass(&reply);
        double us = (double)resp_next_number(&reply);
        resp_cursor arguments = reply;
        resp_next(&arguments);
        resp_value command = resp_next(&arguments);
        if (command.length >= 4 && strncasecmp(command.text, "EVAL", 4) == 0) {
            *longest = us > *longest ? us : *longest;
            *over_5_ms += us > 5000;
        }
        for (long long j = 3; j < parts; j++)
            resp_pass(&reply);
    }
}

static void add_statistics(const char *info, const char *command, double *calls, double *us)
{
    double more_calls, more_us;
    const char *line = strstr(info, command);
    if (line != NULL &&
        sscanf(line + strlen(command), ":calls=%lf,usec=%lf", &more_calls, &more_us) == 2) {
        *calls += more_calls;
        *us += more_us;
    }
}

void slowlog_report(const bench_rig *rig, bench_report *report)
{
    if (!rig->private_server || !rig->redis)
        return;
    double calls = 0, us = 0, longest = 0, over_5_ms = 0;
    double preempted = server_preemptions() - preemptions;
    resp *connection = resp_open(rig->url);
    read_slowlog(connection, &longest, &over_5_ms);
    resp_cursor info = resp_call(connection, 2, (const char *[]){"INFO", "commandstats"});
    const char *text = resp_next(&info).text;
    add_statistics(text, "cmdstat_evalsha", &calls, &us);
    add_statistics(text, "cmdstat_eval", &calls, &us);
    report_number(report, "longest_script_ms", longest / 1e3, 2, "ms");
    report_count(report, "scripts_over_5_ms", over_5_ms, "");
    report_count(report, "scripts", calls, "");
    report_number(report, "script_seconds", us / 1e6, 3, "s");
    report_count(report, "broker_preempted", preempted, "times");
    resp_close(connection);
}
