/* Contract fixtures of Redis servers: one, or several of which each serves some namespaces. */
#ifndef MF_TESTS_REDIS_FIXTURE_H
#define MF_TESTS_REDIS_FIXTURE_H

#include "fixture.h"
#include "redis_server.h"

enum { REDIS_FIXTURE_SERVERS = 8 };

/* Written when it is answered, and left to the system to bring to disk: that outlives the kill of
 * the server, and does not make the tests wait for this machine's disk. The user "worker" may do no
 * more than docs/operations.md says that the driver must. */
#define REDIS_FIXTURE_CONFIG                                           \
    "appendfsync no\n"                                                 \
    "user worker on >secret ~{*}:* &{*}:* +@read +@write +@scripting " \
    "+@pubsub +@connection -@dangerous +info +role +time +wait\n"

/* What can be done to every such set of servers; the ability to do so comes with it. */
enum {
    REDIS_FIXTURE_ABILITIES = NEEDS_SERVER | NEEDS_PERSISTENCE | NEEDS_SCRIPTS | NEEDS_HINT_CUT |
                              NEEDS_TAMPER | NEEDS_STATES | NEEDS_HELD | NEEDS_HOLDS
};

typedef struct redis_fixture {
    fixture fixture; /* first */
    redis_server *servers[REDIS_FIXTURE_SERVERS];
    int count;
    /* The one that has the keys of the namespace; NULL: there is one. */
    redis_server *(*serving)(struct redis_fixture *me, const char *name_space);
    bool killed, paused;
    char url[256], unreachable_url[64];
} redis_fixture;

/* Fills in all but name, start, stop, and what a link can do. */
void redis_fixture_init(redis_fixture *me);
/* Undoes what a case has left behind at the servers. */
void redis_fixture_heal(fixture *me);

#endif
