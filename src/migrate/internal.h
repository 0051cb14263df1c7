/* A migration from the inside.
 *
 * Pure over the loop and the drivers' operations, as the rest of the core is. The parts:
 *   side.c     a session on one of the two brokers, joined again after each loss
 *   batch.c    tasks on their way: one step after the other, each a request that may be repeated
 *   scan.c     which tasks to take: lists the source, has running ones stopped, hears of released
 * ones resolve.c  what an earlier migrator has left: the holds of both sides states.c   states of
 * tasks that are gone migration.c  the phases, marks, beginning and end
 *
 * Whatever fails for a reason that may pass makes the session join again, with a higher epoch, and
 * is asked again then: no step can be carried out by a copy that comes late. */
#ifndef MF_MIGRATE_INTERNAL_H
#define MF_MIGRATE_INTERNAL_H

#include <metafora/driver.h>
#include <metafora/migrate.h>

#include "id_table.h"

typedef struct mf__side {
    mf_migration *migration;
    mf_broker *broker;
    mf_session session;
    mf_watcher watcher;
    mf_join_request join;
    mf_renew_request renew;
    mf_session_request leave;
    mf_timer timer; /* to renew, or to join again */
    bool up, joined, joining, renewing, leaving, left;
    char holder[33]; /* of the name, when it is in use, and what is known of its life */
    int64_t holder_lapse_us;
    int holder_renewals;
} mf__side;

enum { MF__MOST_BATCH = 256 };

/* What happens to a task next. */
typedef enum mf__step {
    STEP_TAKE,    /* hold it in the source */
    STEP_COPY,    /* into the target, under a hold */
    STEP_CHECK,   /* read the copy back */
    STEP_DROP,    /* from the source */
    STEP_FREE,    /* in the target */
    STEP_CLEAR,   /* the note that it has left in the source */
    STEP_RETURN,  /* free it in the source */
    STEP_DISCARD, /* drop the copy from the target */
    STEP_TIDY,    /* the note that the copy has left */
    STEP_COPY_STATE,
    STEP_DROP_STATE, /* the same for a state without a task */
    STEP_COUNT,
    STEP_END = STEP_COUNT
} mf__step;

typedef enum mf__item_place {
    ITEM_QUEUED,  /* to be taken */
    ITEM_RUNNING, /* its node is to be asked */
    ITEM_ASKED,   /* and has been */
    ITEM_BATCHED
} mf__item_place;

/* A task, or a state without one, that the migration knows of. */
typedef struct mf__item {
    mf__id_link link; /* first; in migration->items */
    struct mf__item *next, *prev;
    mf__item_place place;
    mf_hold hold; /* its strings are the item's */
    char *texts;
    char *owner;     /* ITEM_RUNNING, ITEM_ASKED */
    int64_t held_us; /* when it was taken */
    int64_t asked_us;
    bool give_back; /* to the source, once its copy is discarded */
    char id[];
} mf__item;

typedef struct mf__batch {
    struct mf__batch *next, *prev;
    mf_migration *migration;
    mf__step step;
    bool under_way;
    uint64_t epoch; /* of the session, when it was sent */
    mf_holds_request request;
    mf__item **items;
    size_t count;
    mf_hold holds[];
} mf__batch;

typedef enum mf__phase {
    PHASE_JOIN,
    PHASE_READ_MARKS,
    PHASE_RESOLVE,
    PHASE_MARK,
    PHASE_MOVE,
    PHASE_STATES,
    PHASE_SEAL, /* the mark that says that all has moved */
    PHASE_LEAVE,
    PHASE_CLOSED
} mf__phase;

/* The one request beside those of batches and commands that is under way. */
typedef struct mf__question {
    bool under_way;
    mf__side *side;
    uint64_t epoch; /* of the session, when it was asked */
    union {
        mf_request head;
        mf_mark_request mark;
        mf_holds_page_request holds;
        mf_page_request page;
        mf_nodes_request nodes;
        mf_lookup_request lookup;
        mf_states_request states;
    } request;
    void (*answered)(mf_migration *me); /* when it succeeded */
} mf__question;

typedef struct mf__frozen {
    struct mf__frozen *next, *prev;
    bool ordered; /* a command to it is under way */
    bool frozen;
    char node[];
} mf__frozen;

typedef struct mf__scan {
    char cursor[MF_CURSOR_SIZE];
    bool in_pass;       /* a listing has begun and not ended */
    bool nodes, listed; /* of this pass: the nodes have been read, the tasks have */
    bool found, again;  /* of this pass: a task to take; one that has to be looked at once more */
    bool thawing;       /* the target's nodes have been told to take tasks again */
    int64_t next_us;    /* when the next pass may begin */
    int64_t take_us;    /* when the next task may be taken, by the rate */
    mf__frozen *frozen;
} mf__scan;

struct mf_migration {
    mf_loop *loop;
    mf__side sides[2];
    mf__side *source, *target;
    char url[2][MF_MARK_URL_SIZE]; /* of sides[0] and sides[1] */
    char token[33];
    mf_migration_mode mode;
    bool live, verify, stopping, turned;
    char *only;
    double rate;
    size_t batch;
    int64_t lease_ms;
    void (*on_event)(mf_migration *migration, mf_migration_event event, void *payload);
    void *payload;

    mf__phase phase;
    mf_mark marks[2];
    mf__question question;
    int step;             /* of the phase */
    const char *first_id; /* of a look-up */
    char cursor[MF_CURSOR_SIZE];

    mf__id_table items;
    mf__item *queued, *running, *asked; /* utlist DL heads */
    size_t queued_count, running_count, asked_count;
    mf__id_table skipped; /* ids that are left where they are */
    mf__batch *batches;
    size_t batch_count;
    size_t sending; /* commands under way */
    mf__scan scan;

    mf_deferred go_on;
    mf_timer timer, progress;
    bool changed, was_reachable, failed;
    mf_error error;
    mf_migration_statistics statistics;
};

/* side.c */
void mf__side_open(mf__side *side, mf_migration *migration, mf_broker *broker);
/* A request of the session failed for a reason that may pass: joins again. */
void mf__side_lost(mf__side *side, uint64_t epoch);
void mf__side_leave(mf__side *side);
bool mf__side_is_idle(const mf__side *side);

/* migration.c */
void mf__migration_go_on(mf_migration *me);
/* Ends it with this error once what is on its way has arrived, or at once if that cannot be. */
void mf__migration_fail(mf_migration *me, const mf_error *why);
void mf__migration_changed(mf_migration *me);
/* Prepares the question; NULL: its side has not joined, or another is under way. */
mf__question *mf__migration_ask(mf_migration *me, mf__side *side,
                                void (*answered)(mf_migration *me));
bool mf__migration_matches(const mf_migration *me, const char *id);

/* batch.c */
mf__item *mf__item_new(mf_migration *me, const char *id);
mf__item *mf__item_find(mf_migration *me, const char *id);
void mf__item_free(mf_migration *me, mf__item *item);
/* An item that is in no list begins its way at the step. */
void mf__items_start(mf_migration *me, mf__step step, mf__item **items, size_t count);
/* Sends what can be sent. */
void mf__items_send(mf_migration *me);
void mf__items_clear(mf_migration *me);
void mf__skip(mf_migration *me, const char *id);
bool mf__is_skipped(const mf_migration *me, const char *id);

/* scan.c */
/* True: everything that matches has been taken, or is left where it is. */
bool mf__scan_pump(mf_migration *me);
void mf__scan_heard(mf_migration *me, const char *const *ids, size_t count);
/* Nodes of the source that were frozen take tasks again. True: all have been told. */
bool mf__scan_thaw(mf_migration *me);
/* The same for all nodes of the target, which an earlier migrator may have frozen. */
bool mf__scan_thaw_target(mf_migration *me);
void mf__scan_clear(mf_migration *me);

/* resolve.c. True: nothing is left of the earlier migrator. */
bool mf__resolve_pump(mf_migration *me);

/* states.c. True: all have moved. */
bool mf__states_pump(mf_migration *me);

#endif
