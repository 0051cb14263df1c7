/* Times on the command line. */
#ifndef TOOLS_WHEN_H
#define TOOLS_WHEN_H

#include <stdint.h>

#include <metafora/error.h>

/* Reads "+90", seconds from now, "+90m", "+2h", "+1d", or a time as in RFC 3339, such as
 * 2030-01-31T12:00:00Z, into microseconds since 1970-01-01 UTC. MF_EINVAL: its text begins with
 * `what`. */
int when_parse(int64_t *wall_us, const char *what, const char *text, mf_error *error);

#endif
