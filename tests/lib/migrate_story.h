/* A cluster that is moved from one real broker to another and back while it works, and judged. */
#ifndef MF_TESTS_MIGRATE_STORY_H
#define MF_TESTS_MIGRATE_STORY_H

#include <metafora/driver.h>

typedef struct migrate_end {
    const mf_driver *driver;
    const char *url;
} migrate_end;

/* Three nodes, each with a consumer on both brokers, run `tasks` tasks while a client goes on
 * submitting. All is moved to ends[1], and rolled back. Fails the test when a task is lost, runs
 * twice at a time, or gets a fence that is not higher. */
void migrate_story_live(const migrate_end ends[2], int tasks);

/* The same for `tasks` tasks that wait, there and back. */
void migrate_story_offline(const migrate_end ends[2], int tasks);

#endif
