/* The log hook. */
#ifndef METAFORA_LOG_H
#define METAFORA_LOG_H

#include <stddef.h>

#include <metafora/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mf_log_level {
    MF_LOG_DEBUG,
    MF_LOG_INFO,
    MF_LOG_WARN,
    MF_LOG_ERROR,
    MF_LOG_NONE
} mf_log_level;

/* Receives one line without a line end. `subsystem` is a static string such as "consumer" or
 * "redis"; `text` is borrowed for the call, and what came from elsewhere is in it as mf_escape
 * writes it. Secrets (passwords, tokens) are never in it. */
typedef void (*mf_log_fn)(mf_log_level level, const char *subsystem, const char *text, void *arg);

/* "debug", "info", "warn", "error", "none" to a level; returns 0, or MF_EINVAL for other text. */
MF_EXPORT int mf_log_level_parse(mf_log_level *out, const char *text);

/* Writes text that came from elsewhere as a piece of one line, which it cannot end, forge or
 * colour: control characters (C0, DEL, C1), the line and paragraph separators U+2028 and U+2029 and
 * bytes that are not UTF-8 become \xHH or \uHHHH; all else stays as it is. Cut between characters
 * to fit into `size` bytes with the zero byte. Returns the length of the whole. Any thread. */
MF_EXPORT size_t mf_escape(char *out, size_t size, const char *text);

#ifdef __cplusplus
}
#endif
#endif
