/* The driver's handle, and what its files share.
 *
 * A request becomes an operation: one or more calls, each of which starts when the one before it
 * has been answered, in an arena that is freed when the request has been called back. */
#ifndef MF_ETCD_INTERNAL_H
#define MF_ETCD_INTERNAL_H

#include "document.h"
#include "held.h"
#include "link.h"
#include "mirror.h"
#include "net/watchers.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_op mf_op;
typedef struct mf_recent mf_recent;

/* Leases for keys (leases.c). A lease takes new keys for a while after it was last renewed, and
 * up to a limit, so that its end never deletes more than that at once. */

enum { MF_LEASE_KEYS_MAX = 1000 };

/* What the watch tells of is found without it as well, this often on average. */
enum { MF_AUDIT_US = 300000000 };

typedef struct mf_key_lease {
    struct mf_key_lease *next;
    int64_t id;
    int64_t renewed_us; /* when the grant or the last renewal was sent */
    int64_t audit_us;   /* from when on the next renewal lists its keys */
    size_t keys;        /* that are on it, or may be */
    size_t being_put;   /* of them, by transactions under way */
    bool marked;        /* its mark in the broker is written, see mf__lease_mark */
} mf_key_lease;

typedef struct mf_key_leases {
    mf_etcd *etcd;
    int64_t ttl_s, fresh_us;
    mf_key_lease *list;
    bool granting;
    int64_t granted_id;
    mf_rpc rpc;
    mf_arena arena;
    mf_op *waiting, **waiting_last;
} mf_key_leases;

/* Either `lease` with room for the keys, which are counted on it, or `error`. */
typedef void (*mf_lease_fn)(mf_op *op, mf_key_lease *lease, const mf_error *error);

void mf__key_leases_init(mf_key_leases *leases, mf_etcd *etcd, int64_t ttl_s, int64_t fresh_us);
void mf__key_leases_clear(mf_key_leases *leases);
/* Grants a lease ahead of time, if there is none with much room. */
void mf__key_leases_prepare(mf_key_leases *leases);
/* The lease that takes the next keys; NULL: none. */
const mf_key_lease *mf__key_leases_next(mf_key_leases *leases);
/* Calls fn when there is a lease with room, at once if there is. */
void mf__key_leases_take(mf_key_leases *leases, mf_op *op, size_t keys, mf_lease_fn fn);
/* As a rescue: when etcd says that the lease is no more, in which case nothing was put, the keys
 * are taken on another one, once. */
bool mf__key_leases_take_again(mf_op *op, const mf_error *error);
mf_key_lease *mf__key_leases_find(mf_key_leases *leases, int64_t id);
/* Sets when the lease's keys are to be listed next. */
void mf__key_lease_plan_audit(mf_etcd *etcd, mf_key_lease *lease);
/* The lease is no more. Harmless when it is not known. */
void mf__key_leases_forget(mf_key_leases *leases, int64_t id);
/* So many keys of lease `id` were not put, or are gone. */
void mf__key_leases_give_back(mf_key_leases *leases, int64_t id, size_t keys);

int64_t mf__lease_new_id(mf_etcd *etcd);

/* A look at a session's node key (looks.c). */

typedef struct mf_looked {
    const Etcd__KeyValue *node, *removals; /* NULL: there is no such key */
    bool gone;                             /* the session's lease is */
    uint64_t term;
    int64_t sent_us; /* of the session's renewal */
} mf_looked;

/* `seen` is the look's, and counts if the error's code is MF_OK. */
typedef void (*mf_look_fn)(mf_op *op, const mf_looked *seen, const mf_error *error);

typedef struct mf_look {
    mf_etcd *etcd;
    struct mf_etcd_session *session;
    mf_timer timer;
    mf_rpc rpc;
    mf_arena arena;
    mf_etcd_link *link;
    int64_t began_us, lease;
    bool under_way;
    mf_looked seen;
    mf_op *waiting, *served;
} mf_look;

void mf__look_init(mf_look *look, mf_etcd *etcd, struct mf_etcd_session *session);
/* Those that wait for one that has not begun are called back. */
void mf__look_close(mf_look *look);
/* Calls fn when the session of the operation has been looked at by this connection, by a look that
 * has yet to begin. */
void mf__look_join(mf_op *op, mf_etcd_link *link, mf_look_fn fn);

/* What the handle knows of a session (session.c). */
typedef struct mf_etcd_session {
    struct mf_etcd_session *next;
    char token[33];
    char *node_key, *owner_json;
    char *node_json; /* of the epoch and weight below */
    uint64_t epoch;
    double weight;
    int64_t lease; /* of its node key; 0: none yet */
    mf_key_leases claims;
    mf_held held;
    mf_recent *recent; /* claims, the latest first */
    mf_look look;
    /* The end of another session that has its name, as far as is known. */
    char holder[33];
    int64_t holder_until_us;
    bool mail_waits; /* its watchers are to be told */
    size_t users;    /* operations */
    bool over;       /* it has left: to be forgotten with its last user */
} mf_etcd_session;

struct mf_op {
    mf_etcd *etcd;
    mf_request *request;
    mf_etcd_session *session; /* NULL: none */
    mf_bytes guard;           /* the session's node document when the operation began */
    uint64_t epoch;
    mf_op *next, *previous;
    mf_arena arena;
    mf_rpc rpc;
    void (*then)(mf_op *op);
    /* May be NULL. Returns true when the operation goes on in spite of the error. */
    bool (*rescue)(mf_op *op, const mf_error *error);
    size_t left;    /* parts of a group under way */
    mf_error error; /* the first of a group */
    struct mf_revokes *revokes;
    void (*revoked)(mf_op *op);
    /* The lease that it took keys on. */
    mf_key_leases *leases;
    int64_t lease;
    size_t lease_keys;
    mf_lease_fn leased;
    bool retaken;
    /* The look that it waits for. */
    mf_etcd_link *link;
    mf_look_fn looked;
    mf_op *next_waiting;
};

typedef struct mf_etcd_watch mf_etcd_watch;

/* The namespace as the watch and listings have shown it (mirroring.c). */
typedef struct mf_etcd_mirror {
    mf_mirror content;
    uint32_t number;             /* one more when it has been emptied */
    bool has_tasks, has_nodes;   /* a listing of them was completed */
    unsigned tasks_listing;      /* number of the last one that began */
    unsigned nodes_listing;      /* as well */
    int64_t revision;            /* that the listing of tasks reads; 0: what is there now */
    char cursor[MF_CURSOR_SIZE]; /* where it goes on */
    int64_t audit_us;            /* from when on tasks are to be listed again */
} mf_etcd_mirror;

/* Which tasks have a message, so far as the handle knows (mail.c). */
typedef struct mf_mailbox {
    struct mf_unread *list; /* by id, in the order of their places */
    uint64_t place;         /* the last one given */
    uint32_t watch;         /* the watch since whose beginning nothing was missed; 0: none */
    mf_deferred hint;
} mf_mailbox;

/* The tasks that may not be claimed yet, so far as the handle knows (delays.c). */
typedef struct mf_delays {
    struct mf_delayed *list; /* by id */
    mf_timer timer;
    int64_t next_us; /* that it waits for; INT64_MAX: none */
    mf_rpc rpc;
    mf_arena arena; /* of the call */
    bool calling;
    uint32_t watch, listing; /* watch since whose beginning nothing was missed; 0: none */
    struct due *due;
    size_t due_count;
} mf_delays;

/* Counting crashes (crashes.c). */
typedef struct mf_crashes {
    unsigned max;                        /* that set a task aside; 0: none do */
    uint64_t recent;                     /* number of the last note of recent claims */
    unsigned suspected, looking, looked; /* looks that were wanted, up to now and so far */
    bool calling;
    mf_op *waiting, *served; /* served: by the look under way */
    mf_timer timer;
    mf_rpc rpc;
    mf_arena arena; /* of the work under way */
    struct dead_note *notes;
    size_t note, note_count, read; /* of the notes: done, and read */
    bool counted;                  /* there were counts when the look began */
} mf_crashes;

struct mf_etcd {
    mf_broker broker; /* first */
    mf_etcd_settings settings;
    mf_url url;
    char *strings[3]; /* of the settings */
    mf_endpoint *endpoints;
    char *prefix; /* "/<namespace>/" */
    size_t prefix_length;
    size_t transaction_limit; /* operations in a transaction */

    mf_etcd_link *calls;
    mf_etcd_watch *watch; /* NULL: nobody has watched yet */
    mf_etcd_mirror mirror;
    mf_watchers watchers;
    mf_deferred greet; /* new watchers */
    bool tried, up;    /* the link for calls */
    mf_error why;

    mf_op *ops;
    mf_request *refused; /* to be called back, with error set */
    mf_op *answered;     /* to be ended */
    mf_deferred refuse;

    mf_mailbox mailbox;
    mf_delays delays;
    mf_crashes crashes;
    mf_etcd_session *sessions;
    mf_key_leases marks;    /* of what is to be remembered for a minute */
    mf_key_leases commands; /* of commands */
    uint64_t fence_base;    /* as last read */

    int64_t damage_since_us;
    unsigned damage_count;

    bool closing;
    mf_deferred close_call;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Operations (op.c). */

/* `size` bytes that begin with an mf_op, all zero; NULL: the request will be called back. */
void *mf__op_new(mf_broker *broker, mf_request *request, size_t size);
/* The same, with op->session. */
void *mf__op_new_of(mf_broker *broker, mf_request *request, size_t size, const mf_session *session);
/* Ends the operation, calls the request back and frees all. */
void mf__op_end(mf_op *op);
/* The same, soon: for one that has its answer while it is still inside the slot. */
void mf__op_end_soon(mf_op *op);
void mf__op_fail(mf_op *op, int code, const char *format, ...) MF_PRINTF(3, 4);
void mf__op_fail_as(mf_op *op, const mf_error *error);
/* Ends it well, or with the error that a group has noted. */
void mf__op_end_group(mf_op *op);
void mf__ops_run_refused(void *arg);

/* Calls, then calls `then`; an error ends the operation unless `rescue` takes it. */
void mf__op_call(mf_op *op, const mf_method *method, const ProtobufCMessage *request,
                 void (*then)(mf_op *op));
void mf__op_transact(mf_op *op, mf_txn *txn, void (*then)(mf_op *op));
/* The answer of the last call. */
const Etcd__TxnResponse *mf__op_txn_answer(const mf_op *op);
const Etcd__RangeResponse *mf__op_range_answer(const mf_op *op);

/* One call of a group that is under way together: `each` is called when it is answered, and
 * op->then, set by the caller, when it was the last one. */
typedef struct mf_part {
    mf_rpc rpc; /* first */
    mf_op *op;
    void *user; /* whatever its user likes */
    void (*each)(mf_op *op, struct mf_part *part, const mf_error *error);
} mf_part;
void mf__op_part(mf_op *op, mf_part *part, mf_etcd_link *link, const mf_method *method,
                 const ProtobufCMessage *request,
                 void (*each)(mf_op *op, mf_part *part, const mf_error *error));
/* A part is over, one that is no call: op->left was raised for it. */
void mf__op_part_over(mf_op *op);
/* Keeps the first error of a group in op->error. */
void mf__op_note_error(mf_op *op, const mf_error *error);

/* Keys (keys.c). */

/* "/<namespace>/" and the text; a zero byte is behind it. */
mf_bytes mf__key(mf_etcd *etcd, mf_arena *arena, const char *format, ...) MF_PRINTF(3, 4);

/* The keys of a task; they share memory. */
typedef struct mf_task_keys {
    mf_bytes task, owner, properties;
    mf_bytes message;                         /* the last one to the task */
    mf_bytes slash, slash_end;                /* the range of all keys of the task but its own */
    mf_bytes behind_owner, behind_properties; /* the first keys behind those */
} mf_task_keys;
mf_task_keys mf__task_keys(mf_etcd *etcd, mf_arena *arena, const char *id);
/* Fills in slash_end. */
void mf__task_keys_end(mf_arena *arena, mf_task_keys *keys);

/* What follows "/<namespace>/<part>" in a key; data NULL: the key does not begin so. */
mf_bytes mf__key_rest(const mf_etcd *etcd, mf_bytes key, const char *part);
/* Cuts at the first '/'; false: there is none, and no tail. */
bool mf__key_split(mf_bytes rest, mf_bytes *head, mf_bytes *tail);
bool mf__bytes_are(mf_bytes bytes, const char *text);
/* Its last part is "_metafora": a marker of the Go library's. */
bool mf__key_is_marker(mf_bytes rest);
/* A task id as text; NULL: it is none. */
const char *mf__key_id(mf_arena *arena, mf_bytes id);
/* Where a listing of the keys below "/<namespace>/<part>" goes on: what follows that in the last
 * key, cut where no key of ours can be so long, or before a zero byte; both are somebody else's. A
 * byte behind it makes the next page begin after those. */
void mf__key_to_cursor(char cursor[MF_CURSOR_SIZE], mf_bytes rest);
/* The first key to be listed. */
mf_bytes mf__key_behind_cursor(mf_etcd *etcd, mf_arena *arena, const char *part,
                               const char *cursor);

/* Sessions (session.c). */

/* The session as it is now; NULL: no memory. */
mf_etcd_session *mf__session_of(mf_etcd *etcd, const mf_session *session);
void mf__session_release(mf_etcd *etcd, mf_etcd_session *session);
/* Ends what waits for a time to come. */
void mf__sessions_close(mf_etcd *etcd);
void mf__sessions_clear(mf_etcd *etcd);

/* The transaction's condition that the operation's session is the present one, and what tells
 * otherwise: its one compare, and the one operation of its failure. */
void mf__guard(mf_op *op, mf_txn *txn);
/* Ends the operation because the guard did not hold: MF_ESTALE or MF_ENOSESSION. */
void mf__guard_refused(mf_op *op, const Etcd__KeyValue *node);
/* Whether this is the session's node key. */
bool mf__guard_holds(const mf_op *op, const Etcd__KeyValue *node);

Etcd__LeaseKeepAliveRequest *mf__keep_alive_new(mf_arena *arena, int64_t lease);

/* Leases to be revoked one after the other, a few at a time, each with up to a thousand keys. */
enum { MF_REVOKES_AT_ONCE = 4 };
typedef struct mf_revokes {
    int64_t *leases;
    size_t count, next;
    mf_part parts[MF_REVOKES_AT_ONCE];
} mf_revokes;
/* Finds the leases that a session has marked as its own, revokes them and calls `then`. */
void mf__op_revoke_marked(mf_op *op, mf_revokes *revokes, const char *token,
                          void (*then)(mf_op *op));
/* Revokes one. */
void mf__op_revoke(mf_op *op, mf_revokes *revokes, int64_t lease, void (*then)(mf_op *op));
/* The mark of a lease with claims: it is on that lease, and tells a later session of them. */
mf_bytes mf__lease_mark(mf_etcd *etcd, mf_arena *arena, const char *token, int64_t lease);
bool mf__lease_mark_parse(int64_t *out, mf_bytes text);

/* What is left of a session that has ended, for a minute: its epoch, so that a join which comes
 * late is refused. */
mf_bytes mf__session_end_key(mf_op *op, const char *token);
/* Its revision is that of the last removal of tasks. */
mf_bytes mf__removals_key(mf_etcd *etcd, mf_arena *arena);
mf_bytes mf__number_text(mf_op *op, uint64_t number);
/* Reads a decimal number. False: it is none. */
bool mf__number_of(uint64_t *out, mf_bytes text);

/* Where renewals go: not behind the calls' answers, if there is another link. */
mf_etcd_link *mf__etcd_renewal_link(mf_etcd *etcd);

/* Whole seconds, as many as are needed. */
int64_t mf__lease_seconds(int64_t lease_ms);

/* Claims (claims.c). */

/* The fence without the base that it was given with: the revision that created the owner key. Never
 * that of a key which is not there. */
int64_t mf__fence_revision(uint64_t fence, uint64_t base);
int64_t mf__claim_revision(const mf_claim *claim);
uint64_t mf__claim_hash(const mf_claim *claim);
/* A release or done was answered, after which the task is there or is gone: a renewal that still
 * names the claim need not look at it. */
void mf__claim_set_ended(mf_claim *claim, bool gone);
/* What such a renewal has to say, MF_ELATE or MF_EGONE; MF_OK: the claim has not been ended. */
int mf__claim_ended(const mf_claim *claim);
/* The claim's owner key is as the claim has it. Three conditions more fit beside it. */
void mf__claim_if_owned(mf_op *op, mf_txn *txn, mf_bytes owner_key, const mf_claim *claim);
/* Notes that the claim holds, as of a revision that was read; that it does not. */
void mf__claim_note_held(mf_op *op, const mf_claim *claim, int64_t revision);
void mf__claim_note_ended(mf_op *op, const mf_claim *claim);

/* Records (records.c). */

/* Logs that a record in the broker is damaged; not more than a few in a minute. */
void mf__etcd_damage(mf_etcd *etcd, const char *format, ...) MF_PRINTF(2, 3);

/* Properties as the broker has them, from malloc; NULL and MF_OK: there are none. MF_EDAMAGED
 * (logged), MF_ENOMEM. `value` may be NULL. */
int mf__properties_read(char **out, mf_etcd *etcd, const char *id, const Etcd__KeyValue *value);

/* The fence base under "_mf/fence"; `value` may be NULL. MF_EDAMAGED. */
int mf__fence_base_read(uint64_t *out, const Etcd__KeyValue *value);

/* Asks for the records of up to a batch of tasks; `then` reads them. */
void mf__records_ask(mf_op *op, const char *const *ids, size_t count, void (*then)(mf_op *op));
/* In the operation's arena, in the order of the ids, which are borrowed. */
mf_task_record *mf__records_read(mf_op *op, const char *const *ids, size_t count);

/* Messages (mail.c). */

void mf__mailbox_init(mf_etcd *etcd);
void mf__mailbox_clear(mf_etcd *etcd);
/* The watch has seen that the message of task `id` was put, or deleted, by a revision. */
void mf__mail_put(mf_etcd *etcd, mf_bytes id, int64_t revision);
void mf__mail_deleted(mf_etcd *etcd, mf_bytes id, int64_t revision);
/* The session has claimed a task, with the revision of the message that was there; 0: none was. */
void mf__mail_claimed(mf_etcd *etcd, mf_etcd_session *session, const char *id, int64_t revision);

/* Tasks for later (delays.c). */

void mf__delays_init(mf_etcd *etcd);
void mf__delays_clear(mf_etcd *etcd);
/* The key that keeps a task from being claimed, and what is in it. */
mf_bytes mf__delay_key(mf_etcd *etcd, mf_arena *arena, const char *id);
mf_bytes mf__delay_text(mf_arena *arena, int64_t until_us);
/* The task is known to be delayed. */
bool mf__delays_has(const mf_etcd *etcd, const char *id);
/* The watch is on, and what it has told. */
void mf__delays_watched(mf_etcd *etcd);
void mf__delays_put(mf_etcd *etcd, mf_bytes id, mf_bytes value);
void mf__delays_deleted(mf_etcd *etcd, mf_bytes id);
/* The same of what this handle has put. */
void mf__delays_submitted(mf_etcd *etcd, const char *id, int64_t until_us);

/* Recent claims (recent.c). */

/* Adds the note of these claims on a lease to their transaction. Its number; 0: no memory, and no
 * crash is counted. */
uint64_t mf__recent_add(mf_op *op, mf_txn *txn, int64_t lease, mf_claim *const *claims,
                        size_t count);
/* The transaction was carried out; `counted`: there are crash counts. */
void mf__recent_answered(mf_op *op, uint64_t number, int64_t revision, bool counted);
/* One of its claims was not granted; none was. */
void mf__recent_refused(mf_op *op, uint64_t number, size_t index);
void mf__recent_failed(mf_op *op, uint64_t number);
/* The lease was kept alive by a call that was sent then. */
void mf__recent_survive(mf_etcd *etcd, mf_etcd_session *session, int64_t lease, int64_t sent_us);
/* All its claims end well; the claim does. True: crash counts may go by it, await that. */
bool mf__recent_leave(mf_etcd_session *session);
bool mf__recent_end(mf_etcd_session *session, const mf_claim *claim, bool done);
/* A transaction by which the broker learns what has changed, and its answer, NULL if there is none.
 * NULL: nothing has. */
mf_txn *mf__recent_tell(mf_etcd *etcd, mf_arena *arena);
void mf__recent_told(mf_etcd *etcd, const Etcd__TxnResponse *answer);
void mf__recent_clear(mf_etcd_session *session);

/* Crash counts (crashes.c). */

void mf__crashes_init(mf_etcd *etcd, const mf_broker_options *options);
void mf__crashes_clear(mf_etcd *etcd);
/* A session may have ended with claims. */
void mf__crashes_suspect(mf_etcd *etcd);
/* No crash is known of that is to be counted. */
bool mf__crashes_are_counted(const mf_etcd *etcd);
/* Calls `then` when all is counted and told, or that has failed. */
void mf__crashes_await(mf_op *op, void (*then)(mf_op *op));
/* There may be something to tell. */
void mf__crashes_go_on(mf_etcd *etcd);
mf_bytes mf__crash_key(mf_etcd *etcd, mf_arena *arena, const char *id);
/* Whether there are any crash counts, for mf__answer_exists. */
Etcd__RequestOp *mf__crashes_any(mf_etcd *etcd, mf_arena *arena);
/* What a crash key and a delay key say; NULL: there is none. */
unsigned mf__crash_count(const Etcd__KeyValue *value);
bool mf__is_set_aside(const Etcd__KeyValue *delay);

/* Watching (watch.c). */

void mf__etcd_watch_start(mf_etcd *etcd);
/* Until it is started again: nobody watches. */
void mf__etcd_watch_pause(mf_etcd *etcd);
void mf__etcd_watch_close(mf_etcd *etcd);
/* Which watch it is, and up to which revision it has told of tasks; number 0: none is on. A watch
 * that begins anew has another number. */
typedef struct mf_watch_state {
    uint32_t number;
    int64_t revision;
    int64_t changed; /* the last revision of which it has told that may have ended a claim */
} mf_watch_state;
mf_watch_state mf__etcd_watch_state(const mf_etcd *etcd);
/* Hints are coming in. */
bool mf__etcd_watch_is_on(const mf_etcd *etcd);
/* Why they could not be got, borrowed; NULL: it has not failed. */
const mf_error *mf__etcd_watch_why_off(const mf_etcd *etcd);

/* The mirror (mirroring.c). */

/* It has what there is, and is told of changes. */
bool mf__etcd_mirror_is_good(const mf_etcd *etcd);
/* Nothing that it has is certain any more. */
void mf__etcd_mirror_reset(mf_etcd *etcd);
/* An event of the watch, in order. */
void mf__etcd_mirror_event(mf_etcd *etcd, const Etcd__Event *event, mf_arena *arena);
/* Tells the watchers of nodes that have changed, if it is good. */
void mf__etcd_mirror_tell(mf_etcd *etcd, mf_arena *arena);

/* A listing of all tasks, for whatever reason it is made, feeds the mirror when that has need of
 * it: 0 when it has not, or the number to name. To be asked before each page is. */
unsigned mf__etcd_mirror_begin_tasks(mf_etcd *etcd, const char *cursor);
/* A page of that listing, as far as `cursor`, "" when it was the last one. */
void mf__etcd_mirror_page(mf_etcd *etcd, unsigned number, const Etcd__RangeResponse *page,
                          const char *cursor, mf_arena *arena);
/* The listing cannot be gone on with. */
void mf__etcd_mirror_abandon(mf_etcd *etcd, unsigned number);
/* It is time to list the tasks again. */
bool mf__etcd_mirror_wants_tasks(const mf_etcd *etcd);

/* As with tasks; all nodes, and leases, are set in between. */
unsigned mf__etcd_mirror_begin_nodes(mf_etcd *etcd);
bool mf__etcd_mirror_takes_nodes(const mf_etcd *etcd, unsigned number);
void mf__etcd_mirror_end_nodes(mf_etcd *etcd, mf_arena *arena);

/* Tells the watchers what they do not know yet. */
void mf__etcd_tell_link(mf_etcd *etcd);

/* Slots. */

void mf__etcd_join(mf_broker *broker, mf_join_request *request);
void mf__etcd_leave(mf_broker *broker, mf_session_request *request);
void mf__etcd_renew(mf_broker *broker, mf_renew_request *request);
void mf__etcd_claim(mf_broker *broker, mf_claims_request *request);
void mf__etcd_release(mf_broker *broker, mf_claims_request *request);
void mf__etcd_done(mf_broker *broker, mf_claims_request *request);
void mf__etcd_claimable(mf_broker *broker, mf_page_request *request);
void mf__etcd_receive(mf_broker *broker, mf_receive_request *request);
void mf__etcd_submit(mf_broker *broker, mf_items_request *request);
void mf__etcd_remove(mf_broker *broker, mf_items_request *request);
void mf__etcd_tasks(mf_broker *broker, mf_page_request *request);
void mf__etcd_lookup(mf_broker *broker, mf_lookup_request *request);
void mf__etcd_nodes(mf_broker *broker, mf_nodes_request *request);
void mf__etcd_send(mf_broker *broker, mf_send_request *request);
void mf__etcd_load(mf_broker *broker, mf_load_request *request);
void mf__etcd_store(mf_broker *broker, mf_store_request *request);
void mf__etcd_mail(mf_broker *broker, mf_mail_request *request);
void mf__etcd_tell(mf_broker *broker, mf_items_request *request);
void mf__etcd_forget(mf_broker *broker, mf_items_request *request);
void mf__etcd_states(mf_broker *broker, mf_states_request *request);

#endif
