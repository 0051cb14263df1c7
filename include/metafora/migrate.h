/* Migration: moves the tasks of a namespace from one broker to another, while they wait or run.
 *
 * At every instant a task is recorded in at least one of the brokers and claimable in at most one,
 * also when the migrating process is killed, stands still for a minute, or loses either broker. Of
 * each task go along: properties, state, a message that waits, crashes, that it was set aside, and
 * when it may be claimed; its fences in the new broker are higher than all in the old one. A
 * migration can be stopped and resumed, and rolled back at any time. docs/migrating.md has the
 * runbooks. */
#ifndef METAFORA_MIGRATE_H
#define METAFORA_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/broker.h>
#include <metafora/error.h>
#include <metafora/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_migration mf_migration;

typedef enum mf_migration_mode {
    MF_MIGRATE_MOVE,     /* begin */
    MF_MIGRATE_RESUME,   /* go on with one that was stopped or whose process has died */
    MF_MIGRATE_ROLL_BACK /* take back what has moved; also all of one that has ended */
} mf_migration_mode;

typedef enum mf_migration_event {
    MF_MIGRATION_STARTED,     /* both brokers know the migrator, and the old one is marked */
    MF_MIGRATION_PROGRESS,    /* the statistics have changed; four times a second at most */
    MF_MIGRATION_UNREACHABLE, /* a broker is gone for now; it goes on when it is back */
    MF_MIGRATION_REACHABLE,   /* and both are there again */
    MF_MIGRATION_CLOSED       /* it has ended, see mf_migration_error; free it from here on */
} mf_migration_event;

#define MF_MIGRATION_OPTIONS_VERSION 1

/* Zero or NULL in a field means its default. Strings are borrowed for the call that takes them. */
typedef struct mf_migration_options {
    int version;
    /* Handles on the old and the new broker, on one loop; borrowed until MF_MIGRATION_CLOSED. For
     * RESUME and ROLL_BACK the same two as for the MOVE. */
    mf_broker *from, *to;
    /* What clients of a namespace that has moved are told: without a password, at most 511 bytes.
     * Required. */
    const char *from_url, *to_url;
    mf_migration_mode mode;
    bool live;        /* running tasks too: their nodes are frozen, and asked to stop them */
    const char *only; /* ids that match, '*' for any bytes; the namespace is then not marked as
                         moved, and clients go on using it */
    double rate;      /* tasks a second at most; 0: no limit */
    int batch;        /* tasks in one request; live: on their way at a time, for that long they run
                         nowhere. 64; 16 */
    bool verify;      /* read each copy back and compare it before the original is dropped */
    int lease_ms;     /* 10,000, from 2,000 on: how long a dead migrator keeps the next one out */
    /* May be NULL. On the loop thread, never from inside a call of the library by the program.
     * mf_migration_stop may be called from it, mf_migration_free on MF_MIGRATION_CLOSED. */
    void (*on_event)(mf_migration *migration, mf_migration_event event, void *payload);
    void *payload;
} mf_migration_options;

#define MF_MIGRATION_OPTIONS_INIT                            \
    {                                                        \
        MF_FIRST_FIELD(version) MF_MIGRATION_OPTIONS_VERSION \
    }

/* Makes a migration and begins it. MF_EINVAL (the text names the field and the rule); MF_ENOTSUP: a
 * driver has no operations for it; MF_ENOMEM. All else is found later and told by
 * MF_MIGRATION_CLOSED. */
MF_EXPORT int mf_migration_open(mf_migration **out, const mf_migration_options *options,
                                mf_error *error);

/* Ends it between tasks: what is on its way arrives, nothing more is taken, nodes that were frozen
 * take tasks again. Ends with MF_MIGRATION_CLOSED. The old broker's mark stays until it is resumed
 * or rolled back. Twice is once. */
MF_EXPORT void mf_migration_stop(mf_migration *migration);

/* Frees the migration, from MF_MIGRATION_CLOSED on. */
MF_EXPORT void mf_migration_free(mf_migration *migration);

/* Why it ended, or will. MF_OK: everything has moved. MF_ECLOSED: it was stopped. MF_ETAKEN: tasks
 * that run were left where they are, since it is not live. MF_EEXISTS: another one has begun and
 * must be resumed or rolled back first, or tasks of the same ids are in both brokers.
 * MF_EDAMAGED: tasks could not be read, or copies differed from their originals.
 * MF_ENAMEINUSE: another migrator is at work. MF_EGONE: there is nothing to resume or to roll back.
 * Else the broker's. Borrowed while the migration lives. */
MF_EXPORT const mf_error *mf_migration_error(const mf_migration *migration);

/* Counts since mf_migration_open. Append only; set `version` before the call. */
#define MF_MIGRATION_STATISTICS_VERSION 1
typedef struct mf_migration_statistics {
    int version;
    uint64_t seen;      /* tasks that match, in the listing under way or the last */
    uint64_t moved;     /* tasks that are claimable, or will be, in the new broker */
    uint64_t under_way; /* taken and not moved yet */
    uint64_t asked;     /* running tasks that nodes were asked to stop */
    uint64_t returned;  /* given back to the old broker */
    uint64_t running;   /* left, since they run and it is not live */
    uint64_t conflicts; /* left, since there is a task of that id in the new broker */
    uint64_t damaged;   /* left, since they cannot be read, or held since the copy differs */
    uint64_t removed;   /* gone while they were on their way: somebody had removed them */
    uint64_t states;    /* states of tasks that had ended before */
    uint64_t breaks;    /* times that a broker was lost */
    /* For how long moved tasks were claimable nowhere: microseconds. */
    int64_t held_us_sum, held_us_max;
    bool rolling_back; /* what moves goes from the new broker to the old one */
} mf_migration_statistics;
#define MF_MIGRATION_STATISTICS_INIT                            \
    {                                                           \
        MF_FIRST_FIELD(version) MF_MIGRATION_STATISTICS_VERSION \
    }
MF_EXPORT void mf_migration_get_statistics(const mf_migration *migration,
                                           mf_migration_statistics *out);

#ifdef __cplusplus
}
#endif
#endif
