/* For authors of drivers: what a broker must be able to do for libmetafora.
 *
 * A driver speaks to one kind of broker. It makes no decisions: it turns requests into what its
 * broker understands and answers into results. Renewal, retries, deadlines, batching, reconciling
 * and balancing are the core's (src/coordinator.c, src/client.c), the same for every driver.
 *
 * Requests. The core fills in a request and passes it to a slot; the request and all it points to
 * stay the core's and stay valid until the driver calls request->done(request), exactly once, on
 * the loop thread, never from inside the slot. The driver first sets error.code (MF_OK, or why the
 * whole request failed, with a text) and the fields marked `out`. Closing the broker completes what
 * is under way. Several requests may be under way; those of one session take effect in the order in
 * which they were submitted.
 *
 * Lost replies. A request that was certainly not executed fails with MF_EUNREACHABLE; one that may
 * have been, with MF_EUNKNOWN. The driver never repeats a request by itself: the core does, when
 * the link is up again and the session has joined with a higher epoch. So each operation must be
 * harmless when it is repeated with the same session token, and a delayed first copy that arrives
 * after the join of the higher epoch must be refused (MF_ESTALE for the whole request).
 *
 * Guarantees that the broker's side must give, atomically for each task:
 *   - a claim is granted only if the task exists, is not moving, and has no live owner, or is held
 *     by the same session (then: its old fence, and the lease counts anew);
 *   - every grant to a new owner has a higher fence than all grants of the task before;
 *   - release, done and renew change nothing unless session token and fence are the owner's. */
#ifndef METAFORA_DRIVER_H
#define METAFORA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/balancer.h>
#include <metafora/broker.h>
#include <metafora/client.h>
#include <metafora/error.h>
#include <metafora/export.h>
#include <metafora/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A consumer's membership. The core owns it; it outlives every request that names it. */
typedef struct mf_session {
    const char *node;
    char token[33]; /* random, hexadecimal: new for each mf_consumer_open */
    uint64_t epoch; /* 1 at the first join, one more at each further one */
    int64_t lease_ms;
    double weight;
} mf_session;

/* Where a listing goes on: "" at the beginning and after the last page. */
#define MF_CURSOR_SIZE 280

struct mf_lease;

/* One task that a session holds or asks for. The core owns it. */
typedef struct mf_claim {
    const char *id;
    char *properties; /* out of claim: from malloc, the core frees it; NULL: none */
    uint64_t fence;   /* out of claim */
    int result;       /* out of claim, release and done: what became of this task */
    /* Out of claim, the driver's, who finds them in the requests that follow. Claims of different
     * groups are in different leases. */
    uint64_t group, mark;

    /* The core's. */
    int64_t deadline_us; /* until when the claim is certain to hold; atomic, read by any thread */
    struct mf_lease *lease;
    uint32_t slot; /* in lease->claims */
    uint8_t state;
    uint8_t outcome;
    uint8_t life;      /* of what was granted */
    bool repeated : 1; /* an earlier try of the request under way had no answer */
    bool counted : 1;  /* among those that the broker is known to list as ours */
    bool refused : 1;  /* an earlier try of its ending was refused */
    struct mf_claim *next, *previous;
} mf_claim;

/* Claims that are renewed together. The core makes and fills it. */
typedef struct mf_lease {
    mf_claim **claims;
    size_t count;   /* with those that are renewed no more */
    uint64_t group; /* of all its claims */
    void *driver;   /* the driver's */
} mf_lease;

/* The head of every request. */
typedef struct mf_request {
    void (*done)(struct mf_request *request);
    void *arg;      /* the core's */
    mf_error error; /* out */
    /* out: steady time at or before which the request left this process; deadlines count from it.
     * Only claim, renew and join need it. */
    int64_t sent_us;
    /* The driver's while the request is under way. */
    struct mf_request *next, *previous;
    void *driver;
    int tag;
} mf_request;

/* join: makes the session known, or, with a higher epoch, known again. */
typedef struct mf_join_request {
    mf_request request; /* MF_ENAMEINUSE: another session has the name, see below */
    mf_session *session;
    bool takeover;   /* end a session of another token that has the name: its process is dead */
    char holder[33]; /* out, MF_ENAMEINUSE: token of the session that has the name */
    int64_t remaining_ms; /* out, MF_ENAMEINUSE: until that session lapses unless it is renewed */
} mf_join_request;

/* leave: ends the session at once; tasks it still holds become claimable. Repeated: MF_OK. */
typedef struct mf_session_request {
    mf_request request;
    mf_session *session;
} mf_session_request;

typedef struct mf_lost_claim {
    size_t index; /* in lease->claims */
    int code;     /* MF_ELATE: not the owner any more. MF_EGONE: the task was removed; the claim
                     is in force until it is released or its lease ends */
} mf_lost_claim;

/* renew: the session, and the first `count` claims of `lease`, hold for session->lease_ms from now.
 * `lease` may be NULL with count 0: the session alone. MF_ENOSESSION: the session has lapsed
 * (claims may still hold; the core joins again and asks again). While the request is under way the
 * core keeps those first `count` places of lease->claims as they are. */
typedef struct mf_renew_request {
    mf_request request;
    mf_session *session;
    mf_lease *lease;
    size_t count;
    mf_lost_claim *lost; /* out: room for `count`, by the core */
    size_t lost_count;   /* out */
    /* out: how many tasks the broker then lists as the session's. Left as the core sets it,
     * MF_HELD_UNKNOWN, by a driver without `held`. */
    uint64_t held;
} mf_renew_request;
#define MF_HELD_UNKNOWN UINT64_MAX

/* held: the tasks that the broker lists as the session's, in pages as `tasks` is. Of the records
 * `id` and `fence` are used; fence 0: the broker knows of no owner.
 *
 * A broker that was set back, by a failover or a restored snapshot, lists claims whose release or
 * end it had acknowledged: their tasks run nowhere, and nobody else may claim them. So the core
 * compares `held` of each renewal with what the node holds, and when the broker lists more, reads
 * this list and releases, with the fence that it is given, what the node neither holds nor has
 * asked for. A broker that cannot lose what it has acknowledged needs neither. */
typedef struct mf_held_request {
    mf_request request;
    mf_session *session;
    size_t limit;
    char cursor[MF_CURSOR_SIZE];   /* in and out */
    const mf_task_record *records; /* out, valid during done() */
    size_t count;                  /* out */
} mf_held_request;

/* claim. Results: MF_OK with fence and properties; MF_ETAKEN; MF_EGONE; MF_EDAMAGED; and, of all
 * but the first, MF_EUNREACHABLE where the answer would become too long: it is asked for again.
 * release: the task becomes claimable. done: the task, with all that belongs to it, is removed for
 * good. Results of both: MF_OK; MF_ELATE (another owner, or none); MF_EGONE.
 * Whole: MF_ENOSESSION, MF_ESTALE, and the general ones. At most max_batch claims. */
typedef struct mf_claims_request {
    mf_request request;
    mf_session *session;
    mf_claim **claims;
    size_t count;
} mf_claims_request;

/* submit: results MF_OK, MF_EEXISTS. remove (no properties): MF_OK, MF_EGONE. At most max_batch.
 * A claim on a removed task stays in force until its owner releases it or its lease ends, without
 * being renewed: renew, release and done tell the owner MF_EGONE, and a task that is submitted anew
 * under the id meanwhile cannot be claimed before (MF_ETAKEN), so that it never runs beside the old
 * one's handler. It becomes claimable at that moment.
 * A submit that is repeated with the same token within a minute gives the results of the first. */
typedef struct mf_item {
    const char *id;
    const char *properties;
    int64_t delay_us; /* submit: claimable only after so long. Only where broker->can_delay */
    int result;       /* out */
} mf_item;

typedef struct mf_items_request {
    mf_request request;
    const char *token; /* of this request, random */
    mf_item *items;
    size_t count;
} mf_items_request;

/* claimable: tasks that have no owner and may be claimed now; of the records only `id` is used.
 * tasks: all tasks. Both in pages of about `limit`; cursor "" starts, and comes back as "" after
 * the last page. Records are the driver's and valid during done(). */
typedef struct mf_page_request {
    mf_request request;
    size_t limit;
    char cursor[MF_CURSOR_SIZE];   /* in and out */
    const mf_task_record *records; /* out */
    size_t count;                  /* out */
    bool may_lag; /* claimable: what was true when the last hint was told will do */
    /* out, claimable: about how many there are on all pages. Left as the core sets it,
     * MF_TOTAL_UNKNOWN, by a driver that does not know; then every consumer reads all pages. */
    uint64_t total;
} mf_page_request;
#define MF_TOTAL_UNKNOWN UINT64_MAX

/* lookup: one record for each id, in order; code MF_EGONE where there is no such task. */
typedef struct mf_lookup_request {
    mf_request request;
    const char *const *ids;
    size_t id_count;               /* at most max_batch */
    const mf_task_record *records; /* out, valid during done() */
} mf_lookup_request;

/* nodes: the live ones, in any order. */
typedef struct mf_nodes_request {
    mf_request request;
    const mf_node *nodes; /* out, valid during done() */
    size_t count;         /* out */
    bool may_lag;         /* counts that were true when the last hint was told will do */
} mf_nodes_request;

/* send: stores a command for the node, then hints. Sequence numbers of a node's commands rise.
 * A repeated send may store it twice. Commands that are not read expire after command_ttl_ms. */
#define MF_COMMAND_TTL_MS 600000
typedef struct mf_send_request {
    mf_request request;
    const char *node;
    const char *json;
    size_t length;
    const char *migration; /* the one whose mark does not stop this command; NULL: any mark does */
} mf_send_request;

typedef struct mf_command_record {
    uint64_t sequence;
    const char *json;
    size_t length;
} mf_command_record;

/* receive: forgets the node's commands up to and including sequence `acknowledged` (0: none), then
 * reads those that are left, in order, at most `limit`. */
typedef struct mf_receive_request {
    mf_request request;
    mf_session *session;
    uint64_t acknowledged;
    size_t limit;
    const mf_command_record *commands; /* out, valid during done() */
    size_t count;                      /* out */
} mf_receive_request;

/* States and messages of tasks, for stateful handlers (src/state). A driver that does not keep them
 * leaves all of these slots NULL. A task's state outlives it: done and remove leave it, a task that
 * is submitted anew under the id finds it. Its message does not.
 *
 * load: documents in the order of the ids. states: all documents in pages, as `tasks` is listed. */
typedef struct mf_document {
    const char *id;
    const char *json; /* NULL: there is none */
    size_t length;
} mf_document;

typedef struct mf_load_request {
    mf_request request;
    const char *const *ids;
    size_t id_count;              /* at most max_batch */
    const mf_document *documents; /* out, valid during done() */
} mf_load_request;

typedef struct mf_states_request {
    mf_request request;
    size_t limit;
    char cursor[MF_CURSOR_SIZE];  /* in and out */
    const mf_document *documents; /* out, valid during done() */
    size_t count;                 /* out */
} mf_states_request;

/* store: an owner's writes, with the conditions of release. Results: MF_OK; MF_ELATE; MF_EGONE.
 * Whole: as of release. With the write, or alone, goes that a message has been dealt with: it is
 * forgotten unless a later one has replaced it. */
typedef struct mf_write {
    const char *id;
    uint64_t fence, mark; /* the claim's */
    const char *json;     /* NULL: the state stays as it is */
    size_t length;
    uint64_t acknowledged; /* number of the message; 0: none */
    int result;            /* out */
} mf_write;

typedef struct mf_store_request {
    mf_request request;
    mf_session *session;
    mf_write *writes;
    size_t count; /* at most max_batch */
} mf_store_request;

/* tell (mf_items_request, the properties are the message): stores a message for a task, in place of
 * one that was not read, then hints its owner. Results: MF_OK; MF_EGONE. A repeat with the same
 * token is as that of a submit.
 * forget (mf_items_request, no properties): removes state, message and crash count of tasks that
 * have no owner, so that those that exist, set aside or not, can be claimed as new ones. Results:
 * MF_OK; MF_ETAKEN: it has an owner; MF_EGONE: nothing is known of it. Repeats do no harm.
 *
 * mail: messages for tasks that the session holds, each at a place in one order for the whole
 * namespace. A message gets a new, later place when it is stored, and when its task is claimed, so
 * that a session which asks for what comes after the last place it has seen misses none. */
typedef struct mf_mail {
    const char *id;
    uint64_t number; /* higher for each later message to the task, never 0 */
    const char *json;
    size_t length;
} mf_mail;

typedef struct mf_mail_request {
    mf_request request;
    mf_session *session;
    uint64_t after; /* the place; in and out */
    size_t limit;
    const mf_mail *mail; /* out, valid during done() */
    size_t count;        /* out */
    bool more;           /* out: ask again */
} mf_mail_request;

/* describe: what the broker says of its own server and set-up, in its own words, a line
 * "<name>:<value>" each. For people, and for who knows the kind of broker (metaforactl doctor): the
 * core does not read it. */
typedef struct mf_describe_request {
    mf_request request;
    const char *text; /* out, valid during done() */
} mf_describe_request;

/* Migration between brokers (src/migrate). At every instant a task is recorded in at least one
 * broker, and claimable in at most one. The driver gives the steps, the core decides on them.
 *
 * A hold is an owner's record without expiry that names a migration, not a session: nobody else may
 * claim the task, whatever becomes of the migrator, and claim, forget and reap respect it as they
 * do a live owner. Its fence is higher than all fences of the task before. All five operations are
 * requests of a session, and harmless when they are repeated by the same migration, also under
 * another session.
 *
 * hold: takes a task that has no owner, also one that is not to be claimed yet or was set aside.
 * MF_OK: the hold is the migration's, and all that is known of the task is given out; MF_ETAKEN: it
 * has an owner, or another migration holds it; MF_EGONE: no such task; MF_EDAMAGED.
 * copy: stores a task under a hold of that fence, in place of one that the migration has stored
 * there before; no later fence of this broker is lower. MF_EEXISTS: there is a task of the id that
 * the migration does not hold; MF_ETAKEN: a claim on a removed task of the id is still in force.
 * drop: removes the held task with all that belongs to it, its state included, and leaves a note in
 * place of the hold (MF_HOLD_DROPPED). MF_ELATE: the hold is not this one; MF_EGONE: the task was
 * removed by someone who does not know of holds; MF_ESTALE: a message came that was not copied.
 * free: ends the hold, and the task can be claimed from now on, or from when it could be; of a task
 * that was dropped, forgets the note. MF_EGONE: there is neither hold nor note.
 *
 * An `orphan` in copy and drop is the state of a task that is gone: copy stores it where there is
 * neither a task of that id nor another state (MF_EEXISTS), drop removes it where there is no task
 * (MF_EEXISTS).
 *
 * holds: all holds and notes, in pages as `tasks` is; id, fence, stage and migration of each. */
/* Whose tasks held ones are shown as, and the name of the migrator's session: so two migrators of
 * one namespace cannot be at work at once (G8). */
#define MF_HOLD_NODE "_migration"

typedef enum mf_hold_stage {
    MF_HOLD_HELD = 1,
    MF_HOLD_DROPPED = 2 /* there is no task any more */
} mf_hold_stage;

typedef struct mf_hold {
    const char *id;
    uint64_t fence; /* out of hold and holds; of copy, drop and free the hold's */
    /* Out of hold, the driver's, valid during done(); into copy. NULL: there is none. */
    const char *properties, *state, *message;
    uint64_t message_number; /* out of hold; into drop: the message that was copied, 0: none,
                              * UINT64_MAX: any will do */
    int64_t delay_us;        /* until it may be claimed; 0: at once */
    unsigned crashes;
    bool set_aside;
    bool orphan; /* into copy and drop: a state without a task */
    int result;  /* out */

    mf_hold_stage stage;   /* out of holds */
    const char *migration; /* likewise */
} mf_hold;

typedef struct mf_holds_request {
    mf_request request;
    mf_session *session;
    const char *migration; /* its token */
    mf_hold *holds;
    size_t count; /* at most max_batch */
} mf_holds_request;

typedef struct mf_holds_page_request {
    mf_request request;
    size_t limit;
    char cursor[MF_CURSOR_SIZE]; /* in and out */
    const mf_hold *holds;        /* out, valid during done() */
    size_t count;                /* out */
} mf_holds_page_request;

/* What says of a namespace that its tasks move, or have moved, to another broker. From
 * MF_MARK_MOVING on submit, tell and send fail there with MF_EMOVED as a whole, the URL in the
 * text, and remove and forget give MF_EMOVED for each task that is not there, or held: what is not
 * there may have moved. Claims, endings and states of what still runs go on. */
typedef enum mf_mark_phase {
    MF_MARK_NONE,
    MF_MARK_PART,   /* some of the tasks move: nothing is refused */
    MF_MARK_MOVING, /* they move, all of them */
    MF_MARK_MOVED   /* and have */
} mf_mark_phase;

#define MF_MARK_URL_SIZE 512
typedef struct mf_mark {
    mf_mark_phase phase;
    char migration[33];         /* the token of the one that has put it */
    char url[MF_MARK_URL_SIZE]; /* where to; without a password */
} mf_mark;

/* mark: puts the mark, or takes it away (MF_MARK_NONE). MF_EEXISTS, and nothing is changed: one of
 * another migration that has not come to MF_MARK_MOVED is there. moved: reads it; `session` is not
 * used. */
typedef struct mf_mark_request {
    mf_request request;
    mf_session *session;
    mf_mark mark; /* in of mark; out of both: what is there now */
} mf_mark_request;

/* What a driver tells without being asked. Hints may be lost or come twice; `resync` says that some
 * may have been lost. Called on the loop thread, never from inside a slot. Strings are borrowed.
 * One whose `claimable` is NULL wants no hints: it is told of the link only, and all else is NULL.
 */
typedef struct mf_watcher mf_watcher;
struct mf_watcher {
    const char *node;  /* whose commands to tell of; NULL: none */
    const char *token; /* hints caused by this session need not be told; NULL: all are */
    /* The link to the broker is up (also told soon after `watch`, when it is), or it is down or
     * could not be made, and why. */
    void (*link)(mf_watcher *watcher, bool up, const mf_error *why);
    /* Hints are being received from now on; what came before may have been missed. Follows each
     * link(up). */
    void (*resync)(mf_watcher *watcher);
    void (*claimable)(mf_watcher *watcher, const char *const *ids, size_t count);
    void (*taken)(mf_watcher *watcher, const char *const *ids, size_t count);
    void (*removed)(mf_watcher *watcher, const char *const *ids, size_t count);
    void (*command)(mf_watcher *watcher); /* a command for `node` waits */
    mf_watcher *next, *previous;          /* the driver's while watching */
    void (*mail)(mf_watcher *watcher);    /* may be NULL: a message for a task of `node` waits */
    /* May be NULL. A node has joined, has another weight or holds another number of tasks, or is
     * `gone` (then only its name counts). Told before the hints of tasks that come with it. */
    void (*node_changed)(mf_watcher *watcher, const mf_node *node, bool gone);
};

#define MF_DRIVER_VERSION 1

/* The operations of a broker handle. All up to `send` must be provided. All run on the loop thread.
 *
 * Crash loops. When a claim ends because its session lapsed or was taken over, the broker raises
 * the task's crash count; at the options' max_crashes the task is set aside: it is not claimable
 * (MF_ETAKEN) until `forget`. A release, also that by `leave`, resets the count, and so does a
 * renewal of a claim that is older than MF_CRASH_SURVIVAL_MS. From the second crash on the task
 * becomes claimable only after a while, spread over MF_CRASH_SPREAD_MS times 1, 2, 4, ...: of the
 * many tasks that a dead process had, the harmless ones then get away from the one that killed it.
 *
 * Only a process' death is a crash. A session that lapsed and joins again within MF_CRASH_PARDON_MS
 * has not died: the crashes that it caused are taken back, and their pauses end. Where two or more
 * sessions have lapsed and none is live the broker was away, for nobody could renew: their lapse
 * raises no count. */
#define MF_CRASH_SURVIVAL_MS 2000
#define MF_CRASH_SPREAD_MS 60000
#define MF_CRASH_PARDON_MS 600000
typedef struct mf_broker_operations {
    int version;
    /* Complete what is under way, close, free the handle, then call closed(arg) unless it is NULL;
     * not from inside. Watchers are gone by then. */
    void (*close)(mf_broker *broker, void (*closed)(void *arg), void *arg);
    void (*watch)(mf_broker *broker, mf_watcher *watcher);
    void (*unwatch)(mf_broker *broker, mf_watcher *watcher); /* no call after it returns */

    void (*join)(mf_broker *broker, mf_join_request *request);
    void (*leave)(mf_broker *broker, mf_session_request *request);
    void (*renew)(mf_broker *broker, mf_renew_request *request);
    void (*claim)(mf_broker *broker, mf_claims_request *request);
    void (*release)(mf_broker *broker, mf_claims_request *request);
    void (*done)(mf_broker *broker, mf_claims_request *request);
    void (*claimable)(mf_broker *broker, mf_page_request *request);
    void (*receive)(mf_broker *broker, mf_receive_request *request);

    void (*submit)(mf_broker *broker, mf_items_request *request);
    void (*remove)(mf_broker *broker, mf_items_request *request);
    void (*tasks)(mf_broker *broker, mf_page_request *request);
    void (*lookup)(mf_broker *broker, mf_lookup_request *request);
    void (*nodes)(mf_broker *broker, mf_nodes_request *request);
    void (*send)(mf_broker *broker, mf_send_request *request);

    /* All or none. */
    void (*load)(mf_broker *broker, mf_load_request *request);
    void (*store)(mf_broker *broker, mf_store_request *request);
    void (*mail)(mf_broker *broker, mf_mail_request *request);
    void (*tell)(mf_broker *broker, mf_items_request *request);
    void (*forget)(mf_broker *broker, mf_items_request *request);
    void (*states)(mf_broker *broker, mf_states_request *request);

    /* May be NULL. */
    void (*held)(mf_broker *broker, mf_held_request *request);
    /* May be NULL. */
    void (*describe)(mf_broker *broker, mf_describe_request *request);

    /* All or none. */
    void (*hold)(mf_broker *broker, mf_holds_request *request);
    void (*copy)(mf_broker *broker, mf_holds_request *request);
    void (*drop)(mf_broker *broker, mf_holds_request *request);
    void (*free)(mf_broker *broker, mf_holds_request *request);
    void (*holds)(mf_broker *broker, mf_holds_page_request *request);
    void (*mark)(mf_broker *broker, mf_mark_request *request);
    void (*moved)(mf_broker *broker, mf_mark_request *request);
} mf_broker_operations;

/* The head of every driver's handle; the driver fills it in `open`. */
struct mf_broker {
    const mf_driver *driver;
    const mf_broker_operations *operations;
    mf_loop *loop;
    size_t max_batch; /* claims or items in one request */
    size_t max_lease; /* claims in one lease */
    bool can_delay;   /* submit heeds delay_us */
    bool tells_nodes; /* watchers are told of nodes: what `nodes` gives need not be read again */
};

struct mf_driver {
    int version;
    const char *name;           /* "redis" */
    const char *const *schemes; /* "redis", "rediss", ..., NULL */
    const char *default_url;
    /* Checks the URL and the options, makes the handle and lets the loop connect. Before the first
     * attempt to connect has ended, requests wait; when it fails they fail with MF_EUNREACHABLE, or
     * wait on if options->wait_for_broker. Later, requests fail at once while the link is down.
     * The connection is made again by itself, with growing, jittered pauses. */
    int (*open)(mf_broker **out, const char *url, const mf_broker_options *options, mf_loop *loop,
                mf_error *error);
};

/* Help for drivers, exported by the core. */

/* Writes code and formatted text (cut to fit) to `error` unless it is NULL; returns the code. */
MF_EXPORT int mf_error_set(mf_error *error, int code, const char *format, ...) MF_PRINTF(3, 4);

/* Logs to the loop's hook if `level` is high enough. Any thread. */
MF_EXPORT void mf_log(mf_loop *loop, mf_log_level level, const char *subsystem, const char *format,
                      ...) MF_PRINTF(4, 5);

/* The rules for names and documents (design: G7). Each returns MF_OK or MF_EINVAL with a text that
 * begins with `field`, e.g. "task id: longer than 255 bytes". */
MF_EXPORT int mf_check_task_id(const char *field, const char *id, mf_error *error);
MF_EXPORT int mf_check_name(const char *field, const char *name, mf_error *error);
MF_EXPORT int mf_check_properties(const char *field, const char *json, mf_error *error);
/* For JSON whose strings are to become C strings: as for properties, but it is required, and no
 * string of it, names of members included, has \u0000 or half of a surrogate pair. */
MF_EXPORT int mf_check_document(const char *field, const char *json, mf_error *error);

/* Of crash loops: how many crashes set a task aside by these options, 0: none do; and for how long
 * after so many a task cannot be claimed, 0: not at all. */
MF_EXPORT int mf_crash_limit(const mf_broker_options *options);
MF_EXPORT int64_t mf_crash_pause_us(const char *id, unsigned crashes);

/* A URL in parts, percent-decoded. All strings live in one block; clear frees it. */
typedef struct mf_url_query {
    const char *key, *value;
} mf_url_query;
typedef struct mf_url_host {
    const char *host; /* IPv6 without brackets */
    int port;         /* 0: not given */
} mf_url_host;
typedef struct mf_url {
    const char *scheme;
    const char *user, *password; /* NULL: not given */
    mf_url_host *hosts;          /* "a:1,b:2" gives two; none for scheme:///path */
    size_t host_count;
    const char *path; /* with its leading '/', "" when there is none */
    mf_url_query *query;
    size_t query_count;
    void *block;
} mf_url;
MF_EXPORT int mf_url_parse(mf_url *out, const char *text, mf_error *error);
MF_EXPORT void mf_url_clear(mf_url *url);

/* Applies the query parameters that every broker has (timeouts, wait_replicas, tls_...) to
 * `options`, whose strings then borrow from `url`. MF_EINVAL for a parameter that is not known and
 * not in `also` (may be NULL, ends with NULL). */
MF_EXPORT int mf_broker_options_from_url(mf_broker_options *options, const mf_url *url,
                                         const char *const *also, mf_error *error);

#ifdef __cplusplus
}
#endif
#endif
