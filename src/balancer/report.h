/* What the reporters read, as text. */
#ifndef MF_BALANCER_REPORT_H
#define MF_BALANCER_REPORT_H

#include <stdint.h>

/* /proc/meminfo: bytes in use and in all. MF_EPROTO when a line is missing. */
int mf__report_meminfo(uint64_t *used, uint64_t *total, const char *text);
/* /proc/loadavg: the load of the last minute in thousandths. */
int mf__report_loadavg(uint64_t *used, const char *text);

#endif
