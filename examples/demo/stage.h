/* Where the demo's nodes run: threads of this process, or processes on a private Redis
 * or etcd. */
#ifndef DEMO_STAGE_H
#define DEMO_STAGE_H

#include <metafora/error.h>

enum { STAGE_NODES = 3, STAGE_LEASE_MS = 2000 };

typedef struct stage {
    const char *name; /* the demo's argument */
    const char *what; /* a line that says what is shown */
    const char *how;  /* the node is lost */
    /* Makes the broker, whose URL then is in `url`, and the nodes; all their files go to
     * `directory`, the events to directory/events. */
    int (*set_up)(const char *directory, const char *const *names, mf_error *error);
    /* One node is lost, without a word. */
    void (*lose)(int node);
    /* Ends what is left, tasks included. Also after a set_up that failed. */
    void (*tear_down)(void);
    char url[160];
} stage;

extern stage stage_embedded, stage_redis, stage_etcd;

#endif
