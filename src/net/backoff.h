/* The pause between attempts: grows, with jitter, so that many clients do not come back at once. */
#ifndef MF_NET_BACKOFF_H
#define MF_NET_BACKOFF_H

#include <stdint.h>

#define MF_BACKOFF_FIRST_US 50000
#define MF_BACKOFF_MOST_US 5000000

/* Microseconds to wait after `failures` (1 and on) attempts in a row: a random time between a fifth
 * of a limit and the limit, which doubles from the first to the most. */
int64_t mf__backoff_us(unsigned failures, uint64_t random);

#endif
