/* The pause between attempts: grows, with jitter, so that many clients do not come back at once. */
#include "net/backoff.h"

int64_t mf__backoff_us(unsigned failures, uint64_t random)
{
    int64_t limit = MF_BACKOFF_FIRST_US;

    while (--failures > 0 && limit < MF_BACKOFF_MOST_US)
        limit *= 2;
    if (limit > MF_BACKOFF_MOST_US)
        limit = MF_BACKOFF_MOST_US;
    int64_t floor = limit / 5;
    return floor + (int64_t)(random % (uint64_t)(limit - floor + 1));
}
