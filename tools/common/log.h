/* Log lines on stderr, from a level on. */
#ifndef TOOLS_LOG_H
#define TOOLS_LOG_H

#include <metafora/log.h>

/* An mf_log_fn; `arg` is a short name to begin each line with. */
void log_to_stderr(mf_log_level level, const char *subsystem, const char *text, void *arg);

#endif
