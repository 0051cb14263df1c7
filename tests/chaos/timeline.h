/* The story of one task over all nodes and servers, merged with the faults. */
#ifndef MF_CHAOS_TIMELINE_H
#define MF_CHAOS_TIMELINE_H

#include <stdio.h>

#include "history.h"

/* What led to `at_us`, and a little of what followed. The nodes' own event logs, in `directory`,
 * are quoted, marked as the library's word; the judge does not use them. */
void timeline_print(const history *h, const char *directory, int task, int64_t at_us, FILE *out);

#endif
