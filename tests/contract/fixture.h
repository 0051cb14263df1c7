/* What the contract suite needs of a driver under test: a private broker, and ways to trouble it.
 *
 * A fixture says which of the troubles it can make; cases that need others are skipped, and the
 * reason is printed. */
#ifndef MF_TESTS_FIXTURE_H
#define MF_TESTS_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include <metafora/driver.h>

typedef struct fixture fixture;

/* Each is a bit. */
typedef enum fixture_ability {
    NEEDS_NOTHING = 0,
    NEEDS_LINK = 1,        /* the link can be cut, held up and made silent */
    NEEDS_SERVER = 2,      /* the broker is a process that can be stopped and started again */
    NEEDS_PERSISTENCE = 4, /* and keeps what it acknowledged when it is killed */
    NEEDS_SCRIPTS = 8,     /* the broker caches scripts, and can be made to forget them */
    NEEDS_HINT_CUT = 16,   /* the hints' connections can be cut while the others stay */
    NEEDS_TAMPER = 32,     /* records can be changed behind the library's back */
    NEEDS_STATES = 64,     /* the driver keeps states of tasks and messages to them */
    NEEDS_HELD = 128,      /* the driver lists what a session holds */
    NEEDS_HOLDS = 256,     /* the driver has the operations of a migration */
} fixture_ability;

/* What the link does from now on; nothing is undone for bytes that are already through. */
typedef enum link_state {
    LINK_PASS,         /* new and present connections work */
    LINK_CUT,          /* present connections are reset, new ones are refused */
    LINK_SILENT,       /* half-open: bytes are swallowed in both directions, nothing is closed */
    LINK_LOSE_REPLIES, /* requests arrive, their answers do not, nothing is closed */
} link_state;

struct fixture {
    const char *name;
    const mf_driver *driver;
    int lease_ms;          /* the shortest that suits the broker */
    int expiry_slack_ms;   /* the grain of its expiry */
    int claim_age_percent; /* of its time, that a claim's lease may have run when it is granted */
    unsigned abilities;
    /* Why an ability is not there, for each bit. NULL past the last. */
    struct {
        fixture_ability ability;
        const char *why;
    } lacks[8];

    /* Starts and stops the private broker, for the whole run. False: it could not be started. */
    bool (*start)(fixture *me);
    void (*stop)(fixture *me);
    /* URLs: straight to the broker, and by the link. */
    const char *(*url)(fixture *me);
    const char *(*link_url)(fixture *me);
    /* A URL of this kind where nothing listens. */
    const char *unreachable_url;

    /* Undoes what a case has left behind, before its handles are closed. May be NULL. */
    void (*heal)(fixture *me);

    void (*set_link)(fixture *me, link_state state);
    /* Each request by the link takes so long from now on; healed like its troubles. */
    void (*slow_link)(fixture *me, int round_trip_ms);
    /* SIGKILL to the server process, and a new one on the same data and address. */
    void (*kill_server)(fixture *me);
    void (*start_server)(fixture *me);
    /* SIGSTOP, SIGCONT. */
    void (*pause_server)(fixture *me, bool paused);
    void (*forget_scripts)(fixture *me);
    void (*cut_hints)(fixture *me);
    /* Ends a claim without telling anyone; makes a task's record unreadable. */
    void (*remove_owner)(fixture *me, const char *name_space, const char *id);
    void (*damage_task)(fixture *me, const char *name_space, const char *id);
    /* Makes the node's commands older than they are; loses all that the broker has. */
    void (*age_commands)(fixture *me, const char *name_space, const char *node, int ms);
    void (*forget_everything)(fixture *me);
};

/* Runs every case on the fixture; `filter` may be NULL, or a pattern of case names with '*'.
 * Returns the number of failed cases. */
int contract_run(fixture *on, const char *filter);

#endif
