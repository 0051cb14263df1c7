/* One namespace of the embedded broker: its tasks, sessions, claims and
 * commands.
 *
 * Pure and synchronous: no loop, no I/O, no lock, no clock; each operation is
 * told the time. The operations take the driver's requests, fill in their
 * results, and return the code of the whole, which is also in request->error.
 * What they give out lives until mf__answer_free.
 *
 * Expiry. A session's claims are in a list by expiry: a renewal moves them to
 * its end, so that the next to lapse is always at a list's head. `due_us` is
 * never later than the first expiry of all; call mf__space_reap at that time,
 * and before any operation that comes after it. */
#ifndef MF_EMBEDDED_SPACE_H
#define MF_EMBEDDED_SPACE_H

#include <stdbool.h>

#include <metafora/driver.h>

/* A table that cannot grow must not end the process; the add is checked by
 * hh.tbl instead. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "embedded/roster.h"
#include "id_table.h"

typedef struct mf_stored_session mf_stored_session;
typedef struct mf_stored_message mf_stored_message;
typedef struct mf_stored_hold mf_stored_hold;

typedef struct mf_stored_task {
    mf__id_link link;                       /* in space->tasks */
    char *properties;                       /* NULL: none */
    mf_stored_session *owner;               /* NULL: claimable */
    struct mf_stored_task *next, *previous; /* in owner->held */
    uint64_t fence;
    int64_t expires_us; /* the owner's claim; when delayed: the delay */
    int64_t delay_us;   /* when waiting: the time it was submitted for; 0: none */
    char *state;        /* document; NULL: none */
    mf_stored_message *message;
    bool removed; /* kept only until its last owner's claim is over, or for its state */
    bool waiting; /* submitted anew while the owner's claim, on the removed one, is not over */
    bool delayed; /* not claimable before expires_us: in space->delays */
    bool set_aside;
    bool held; /* by a migration: it has no owner, and is not claimable */
    uint16_t crashes;
    uint32_t place[MF_ROSTER_KINDS]; /* when delayed, that of MF_ROSTER_CLAIMABLE is in the heap */
    char id[];
} mf_stored_task;

/* The last message to a task, in the order of places. */
struct mf_stored_message {
    mf_stored_task *task;
    mf_stored_message *next, *previous;
    uint64_t number, place;
    size_t length;
    char json[];
};

/* Ids, each with its zero byte. */
typedef struct mf_id_list {
    char *ids;
    size_t length, size, count;
} mf_id_list;

/* A session stays in the table when it is over, until its last claim has lapsed
 * and a delayed copy of its requests is no longer to be expected; when tasks were charged with its
 * lapse, until it is not expected to come back either. */
typedef enum mf_session_state {
    MF_SESSION_LIVE,
    MF_SESSION_LAPSED, /* not renewed in time; may join again */
    MF_SESSION_ENDED   /* left or taken over; a join must have a higher epoch */
} mf_session_state;

struct mf_stored_session {
    UT_hash_handle hh;      /* by token */
    UT_hash_handle by_node; /* only while live */
    mf_session_state state;
    uint64_t epoch;
    int64_t expires_us; /* when live */
    int64_t forget_us;  /* when not */
    double weight;
    mf_stored_task *held, *held_last;
    uint64_t held_count;
    mf_id_list charged; /* tasks whose crashes its lapse has raised */
    bool excused;       /* it lapsed when the broker was away: none are raised */
    struct mf_space *space;
    mf_stored_session *next_touched; /* in space->touched */
    bool is_touched;
    bool is_announced; /* as one that holds and weighs so much */
    uint64_t announced_tasks;
    double announced_weight;
    char token[33];
    char node[];
};

typedef struct mf_stored_command {
    struct mf_stored_command *next;
    uint64_t sequence;
    int64_t expires_us;
    size_t length;
    char json[];
} mf_stored_command;

typedef struct mf_command_queue {
    UT_hash_handle hh;
    mf_stored_command *first, **last;
    char node[];
} mf_command_queue;

/* The results of a submit or remove, for when it comes again. */
typedef struct mf_remembered {
    UT_hash_handle hh;
    int64_t forget_us;
    size_t count;
    const char *token;   /* behind the results */
    signed char codes[]; /* those of items are small */
} mf_remembered;

/* What watchers are to be told of, gathered during an operation. */
typedef enum mf_news_kind {
    MF_NEWS_NODES, /* the id is as mf__space_read_node reads it; told first */
    MF_NEWS_CLAIMABLE,
    MF_NEWS_TAKEN,
    MF_NEWS_REMOVED,
    MF_NEWS_COMMAND, /* the id is the node */
    MF_NEWS_MAIL,    /* likewise */
    MF_NEWS_KINDS
} mf_news_kind;

typedef struct mf_space {
    mf__id_table tasks;
    mf_stored_session *sessions, *nodes;
    mf_stored_session *touched, *last_touched; /* whose node has changed since the last news */
    mf_command_queue *queues;
    mf_remembered *remembered;        /* in order of forget_us */
    mf_roster all, claimable, stated; /* stated: with a state, removed or not */
    mf_stored_task **delays;          /* heap by expires_us; delays[0] is not used */
    size_t delay_count, delay_size;
    mf_stored_message *messages, *last_message; /* by place */
    mf_stored_hold *holds;                      /* by id, in the order in which they came */
    mf_mark mark;
    uint64_t last_fence, last_command, last_message_place, last_hold;
    int max_crashes;         /* 0: no limit */
    int64_t fence_offset_us; /* from `now_us` to the clock that fences must not
                                fall behind */
    int64_t due_us;
    mf_id_list news[MF_NEWS_KINDS];
    bool news_lost; /* there was no memory for some */
} mf_space;

/* Nodes whose weight or number of tasks has changed are announced before the next news go out. */
void mf__space_touch(mf_stored_session *session);
void mf__space_announce_nodes(mf_space *space);
/* Reads what MF_NEWS_NODES carries; the name is borrowed from `text`. */
void mf__space_read_node(const char *text, mf_node *node, bool *gone);

/* How long what is over is remembered, for the sake of requests that come late
 * or again. */
#define MF_REMEMBER_US INT64_C(60000000)

void mf__space_init(mf_space *space, int64_t fence_offset_us);
void mf__space_clear(mf_space *space);

/* Ends sessions and claims whose time has come. */
void mf__space_reap(mf_space *space, int64_t now_us);

int mf__space_join(mf_space *space, mf_join_request *request, int64_t now_us);
int mf__space_leave(mf_space *space, mf_session_request *request, int64_t now_us);
int mf__space_renew(mf_space *space, mf_renew_request *request, int64_t now_us);
int mf__space_nodes(mf_space *space, mf_nodes_request *request);

int mf__space_claim(mf_space *space, mf_claims_request *request, int64_t now_us);
int mf__space_release(mf_space *space, mf_claims_request *request);
int mf__space_done(mf_space *space, mf_claims_request *request);
int mf__space_load(mf_space *space, mf_load_request *request);
int mf__space_store(mf_space *space, mf_store_request *request);
int mf__space_list_states(mf_space *space, mf_states_request *request);
int mf__space_mail(mf_space *space, mf_mail_request *request);
int mf__space_tell(mf_space *space, mf_items_request *request, int64_t now_us);
int mf__space_forget(mf_space *space, mf_items_request *request, int64_t now_us);
int mf__space_submit(mf_space *space, mf_items_request *request, int64_t now_us);
int mf__space_remove(mf_space *space, mf_items_request *request, int64_t now_us);

int mf__space_list_claimable(mf_space *space, mf_page_request *request);
int mf__space_list_tasks(mf_space *space, mf_page_request *request);
int mf__space_list_held(mf_space *space, mf_held_request *request);
int mf__space_lookup(mf_space *space, mf_lookup_request *request);

int mf__space_send(mf_space *space, mf_send_request *request, int64_t now_us);
int mf__space_receive(mf_space *space, mf_receive_request *request, int64_t now_us);

/* Migration (holds.c). */
int mf__space_take_holds(mf_space *space, mf_holds_request *request, int64_t now_us);
int mf__space_copy(mf_space *space, mf_holds_request *request, int64_t now_us);
int mf__space_drop_held(mf_space *space, mf_holds_request *request);
int mf__space_free_holds(mf_space *space, mf_holds_request *request, int64_t now_us);
int mf__space_list_holds(mf_space *space, mf_holds_page_request *request);
int mf__space_mark(mf_space *space, mf_mark_request *request);
int mf__space_moved(mf_space *space, mf_mark_request *request);

/* Inside the space. */

/* The namespace moves, as a whole, or has. */
bool mf__space_is_moving(const mf_space *space);
int mf__space_refuse_moved(mf_space *space, mf_request *request);
void mf__space_clear_holds(mf_space *space);

/* NULL: there is none, or only what is left of a removed one. */
mf_stored_task *mf__space_find(mf_space *space, const char *id);
/* A removed one as well. */
mf_stored_task *mf__space_find_any(mf_space *space, const char *id);

/* Whether the claim is the session's: MF_OK; MF_ELATE; MF_EGONE, the task was removed, but `*out`
 * is not NULL while the claim on it is not over. */
int mf__space_owned(mf_space *space, const mf_stored_session *session, const mf_claim *claim,
                    mf_stored_task **out);

/* The live session that a request names: MF_OK, MF_ENOSESSION or MF_ESTALE. */
int mf__space_session(mf_space *space, const mf_session *session, mf_stored_session **out);

/* Gives the claim (anew) to the session until now + lease. */
void mf__space_hold(mf_space *space, mf_stored_session *session, mf_stored_task *task,
                    int64_t expires_us);
/* Higher than all before. */
uint64_t mf__space_next_fence(mf_space *space, int64_t now_us);
/* Takes the task from its owner, without making it claimable. */
void mf__space_drop(mf_stored_task *task);
/* Takes the task from its owner, if any, and makes it claimable. */
void mf__space_offer(mf_space *space, mf_stored_task *task);
/* The same when its owner gives it back, which ends its crashes in a row. */
void mf__space_give_back(mf_space *space, mf_stored_task *task);
/* The same after the owner's process has died: one that has too many of these is set aside
 * instead. */
void mf__space_bereave(mf_space *space, mf_stored_task *task, int64_t now_us);
/* The session lapsed and is back, so its process has not died: takes back what that was counted
 * as. */
void mf__space_pardon(mf_space *space, mf_stored_session *session);
/* Its owner has it still: an old claim is no crash loop. */
void mf__space_survive(const mf_space *space, mf_stored_task *task, int64_t now_us);

/* A new task, or a new life for a removed one, that is not claimable yet. */
int mf__space_add(mf_space *space, const char *id, const char *properties, mf_stored_task **out);
/* Makes it claimable, in so long. */
void mf__space_publish(mf_space *space, mf_stored_task *task, int64_t delay_us, int64_t now_us);
/* Its state, as it will be kept: MF_ENOMEM. */
int mf__space_set_state(mf_space *space, mf_stored_task *task, const char *json, size_t length);
void mf__space_drop_state(mf_space *space, mf_stored_task *task);

/* Removes the task with all that belongs to it but its state. */
void mf__space_delete(mf_space *space, mf_stored_task *task);

void mf__space_announce(mf_space *space, mf_news_kind kind, const char *id);
/* MF_ENOMEM. */
int mf__id_list_add(mf_id_list *list, const char *id);

/* Sets request->error to the code with its own text; returns the code. */
int mf__space_answer(mf_request *request, int code);

/* Memory that lives as long as the request's answer: NULL when there is none.
 */
void *mf__answer_alloc(mf_request *request, size_t size);
void mf__answer_free(mf_request *request);

void mf__space_clear_commands(mf_space *space);

/* Carries out `apply` on all items once, however often the request comes. `stays`: not when the
 * namespace moves. */
int mf__space_apply_once(mf_space *space, mf_items_request *request, int64_t now_us, bool stays,
                         int (*apply)(mf_space *space, const mf_item *item, int64_t now_us));

/* Delays (delays.c). MF_ENOMEM. */
int mf__delays_add(mf_space *space, mf_stored_task *task, int64_t until_us);
void mf__delays_remove(mf_space *space, mf_stored_task *task);
/* Offers those whose time has come; returns when the next one's comes, INT64_MAX: none. */
int64_t mf__delays_end(mf_space *space, int64_t now_us);

/* Messages (mail.c). */
/* In place of the one before. MF_ENOMEM: that one stays. */
int mf__mail_store(mf_space *space, mf_stored_task *task, const char *json);
void mf__mail_drop(mf_space *space, mf_stored_task *task);
/* The task was claimed: its new owner has to read the message. */
void mf__mail_move_up(mf_space *space, mf_stored_task *task);

#endif
