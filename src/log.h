/* Where log lines go when no hook is set. */
#ifndef MF_LOG_H
#define MF_LOG_H

#include <metafora/log.h>

void mf__log_to_stderr(mf_log_level level, const char *subsystem, const char *text, void *arg);

#endif
