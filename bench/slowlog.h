/* The longest script on a private server. */
#ifndef MF_BENCH_SLOWLOG_H
#define MF_BENCH_SLOWLOG_H

#include "rig.h"

/* From now on the server notes what takes 0.1 ms or more. Nothing without a private server. */
void slowlog_start(const bench_rig *rig);
/* Reports the longest time since then under longest_script_ms, 0 if none took as long as 0.1 ms,
 * how many scripts ran, how many of them for over 5 ms, and their time in all. By the clock: how
 * often the server lost its processor meanwhile is reported too. */
void slowlog_report(const bench_rig *rig, bench_report *report);

#endif
