/* The rules of crash loops that all brokers share. */
#include <string.h>

#include <uthash.h>

#include <metafora/driver.h>

enum { DEFAULT_CRASHES = 5, MOST_DOUBLINGS = 10 };

int mf_crash_limit(const mf_broker_options *options)
{
    if (options->max_crashes < 0)
        return 0;
    return options->max_crashes > 0 ? options->max_crashes : DEFAULT_CRASHES;
}

/* Somewhere in the spread; by the id, which differs from task to task. */
int64_t mf_crash_pause_us(const char *id, unsigned crashes)
{
    unsigned hash;

    if (crashes < 2)
        return 0;
    unsigned doublings = crashes - 2 < MOST_DOUBLINGS ? crashes - 2 : MOST_DOUBLINGS;
    uint64_t spread_us = (uint64_t)MF_CRASH_SPREAD_MS * 1000 << doublings;
    HASH_VALUE(id, strlen(id), hash);
    return (int64_t)((hash * (2 * crashes + 1) >> 16 & 0xffff) * spread_us >> 16) + 1;
}
