/* The driver's handle, and what its files share. */
#ifndef MF_REDIS_INTERNAL_H
#define MF_REDIS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <metafora/driver.h>

#include "link.h"
#include "protocol.h"
#include "scripts.h"
#include "sentinels.h"

typedef struct mf_redis mf_redis;

enum { MF_SCRIPTS_MOST = 32 };

/* A kind of request: how it is written, and how its answer is read. */
typedef struct mf_operation {
    const char *what;        /* for error texts: "claim" */
    const mf_script *script; /* NULL: a plain command */
    /* Normally a script is called by its SHA1, and by its text on the first call by a connection,
     * or when the server does not know it any more. Then later requests, already under way, may
     * overtake it. Those that others must not overtake are always sent as text. */
    bool ordered;
    bool replicated; /* answered when enough replicas have confirmed it, where that is asked for */
    /* Adds the parts: of a script its keys and arguments. */
    void (*write)(mf_redis *redis, mf_request *request);
    /* Reads an answer that is no error into the request and sets error.code. */
    void (*read)(mf_redis *redis, mf_request *request, const mf_value *answer);
    /* May be NULL. Takes back what `read` gave, for the request fails after all. */
    void (*discard)(mf_redis *redis, mf_request *request);
} mf_operation;

typedef struct mf_request_list {
    mf_request *first, *last;
} mf_request_list;

typedef struct mf_name {
    char *text;
    size_t length;
} mf_name;

/* A consumer that watches. */
typedef struct mf_subscriber {
    struct mf_subscriber *next;
    mf_watcher *watcher; /* NULL: gone, to be freed when nobody walks the list */
    enum { MF_TOLD_NOTHING, MF_TOLD_UP, MF_TOLD_DOWN } told;
    uint64_t asked; /* number of its last subscription on this connection */
    bool subscribed;
    bool resync;
} mf_subscriber;

typedef struct mf_hints {
    mf_link *link; /* from the first watcher on */
    mf_subscriber *subscribers;
    unsigned walking;
    uint64_t asked, answered; /* subscriptions on this connection */
    unsigned leaving;         /* ends of subscriptions that were asked for */
    bool failed;              /* the last attempt has */
    mf_error why;
    mf_deferred tell;
    const char **ids; /* room for those of one hint */
    size_t ids_size;
} mf_hints;

/* The nodes, as watchers were told. */
typedef struct mf_known_node mf_known_node;
typedef struct mf_nodes {
    mf_known_node *known;
    uint64_t listing; /* number of the last one */
    mf_timer timer;
    mf_request request;
    bool asking; /* the request is under way */
} mf_nodes;

/* Finds sessions that have lapsed, and gives back what they held. */
typedef struct mf_reaper {
    mf_timer timer;
    mf_request request;
    bool looking;     /* the request is under way */
    size_t reaping;   /* sessions under way */
    int64_t next_ms;  /* until another look, found so far; -1: nothing found */
    int64_t later_us; /* when a task that was submitted for later becomes claimable */
    size_t limit;     /* of sessions a look */
} mf_reaper;

/* How many fields of a hash are asked for at a time, so that the answer is of some length. */
typedef struct mf_scan {
    size_t count; /* 0: nothing is known yet */
} mf_scan;

/* Waits for replicas. */
typedef struct mf_confirm {
    mf_link *link;            /* NULL: none have to confirm */
    mf_request_list answered; /* for the next round */
    mf_request_list round;    /* of the one under way */
    bool asking;              /* one is under way */
    bool wrote, refused;      /* its write was answered, by an error */
    int64_t short_since_us;   /* since when too few have confirmed; 0: enough have */
    int64_t logged_us;
    unsigned shortfalls; /* since */
    mf_timer timer;
} mf_confirm;

struct mf_redis {
    mf_broker broker; /* first */
    mf_link_settings settings;
    mf_sentinels_settings sentinel_settings;
    mf_sentinels *sentinels; /* who name the server; NULL: the URL does */
    mf_endpoint server;      /* that they have named, with a host of its own */
    mf_url url;
    char *strings[7]; /* of the settings */
    mf_endpoint *endpoints;
    int wait_replicas;
    int max_crashes; /* 0: no limit */
    bool wait_for_broker;
    uint64_t heard_fence; /* the highest, by whichever server: a join tells the next one */

    mf_name keys[MF_KEY_COUNT];
    mf_name prefixes[MF_PREFIX_COUNT];

    mf_link *link;
    bool up;    /* the link is ready */
    bool tried; /* the first attempt to connect has ended */
    bool was_up;
    mf_error why; /* it is not up */

    const mf_script *shown[MF_SCRIPTS_MOST]; /* of which this connection has sent the text */
    size_t shown_count;

    mf_request_list waiting; /* for the first attempt */
    mf_request_list sent;    /* in order; the first one's answer comes next */
    mf_request_list moving;  /* not executed, for the slot is being moved; to be sent again */
    mf_timer moving_timer;
    int64_t moving_since_us; /* 0: it is not being moved */
    int64_t moving_pause_us;
    mf_request_list finished; /* to be called back */
    mf_deferred finish;
    mf_parts parts, head;
    size_t key_parts; /* of the parts written so far, those that are keys */
    mf_confirm confirm;

    mf_hints hints;
    mf_nodes nodes;
    mf_reaper reaper;

    mf_scan task_scan, state_scan;

    void *room; /* for records that requests give out, valid during done() */
    size_t room_size;

    int64_t damage_since_us;
    unsigned damage_count;

    bool closing;
    mf_deferred close_call;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Requests (requests.c). */

void mf__redis_submit(mf_redis *redis, mf_request *request, const mf_operation *operation);
/* Calls the request back later, with this error. */
void mf__redis_finish_later(mf_redis *redis, mf_request *request, int code, const char *text);
/* Requests wait although an attempt to connect has failed: there was none that succeeded. */
bool mf__redis_waits(const mf_redis *redis);
/* Fails every request that is under way. */
void mf__redis_fail_sent(mf_redis *redis, int code, const char *text);
void mf__redis_fail_waiting(mf_redis *redis, const mf_error *why);
void mf__redis_send_waiting(mf_redis *redis);
bool mf__redis_reply(mf_link *link, const mf_value *value, void *arg);
void mf__redis_run_finished(void *arg);
void mf__redis_send_moving(void *arg);
/* The answer is of a form that none of our scripts gives. */
void mf__redis_misunderstood(mf_redis *redis, mf_request *request);

/* The keys that the request's script declares, but for owner keys, in its order; those with a
 * variable part are of this node, or of this token. */
void mf__redis_keys(mf_redis *redis, const mf_request *request, const char *node,
                    const char *token);
void mf__redis_key(mf_redis *redis, mf_key key);
void mf__redis_key_of(mf_redis *redis, mf_prefix prefix, const char *name);
void mf__redis_key_of_bytes(mf_redis *redis, mf_prefix prefix, const char *name, size_t length);
void mf__redis_text(mf_redis *redis, const char *text);
void mf__redis_number(mf_redis *redis, int64_t number);
void mf__redis_weight(mf_redis *redis, double weight);              /* nodes.c */
void mf__redis_session(mf_redis *redis, const mf_session *session); /* token and epoch */
void mf__redis_channel(mf_redis *redis);
void mf__redis_channel_of(mf_redis *redis, const char *node);
void mf__redis_id_start(mf_redis *redis); /* where the id begins in an owner key, from 1 */

/* Room for `count` records of `size`, the same at each call. NULL: MF_ENOMEM is set. */
void *mf__redis_room(mf_redis *redis, mf_request *request, size_t count, size_t size);

/* Logs that a record in the broker is damaged; not more than a few in a minute. */
void mf__redis_damage(mf_redis *redis, const char *format, ...) MF_PRINTF(2, 3);

/* Names (names.c). */

int mf__redis_names_init(mf_redis *redis, const char *name_space, mf_error *error);
void mf__redis_names_clear(mf_redis *redis);

static inline void mf__redis_hear_fence(mf_redis *redis, uint64_t fence)
{
    if (fence > redis->heard_fence)
        redis->heard_fence = fence;
}

/* "<token> <fence> <node>", cut into its parts; false: it is none. */
bool mf__redis_parse_owner(char *value, const char **node, uint64_t *fence);

/* Pairs of place and code, for what is not the session's (claims.c): reads the pair at `at` of
 * `items`, for one of `count`; false: it is none. */
bool mf__redis_read_lost(const mf_value *items, size_t at, size_t count, mf_lost_claim *out);

/* A character for each item (tasks.c): 1 is MF_OK, 0 is `refused`, 2 is MF_ETAKEN, 3 is MF_EMOVED.
 */
void mf__redis_read_items(mf_redis *redis, mf_request *head, const mf_value *answer, int refused);

/* The cursor of a scan, a number in text that is 0 at the beginning and the end, as the core's
 * (records.c); false: it is none. */
bool mf__redis_read_cursor(char out[MF_CURSOR_SIZE], const mf_value *cursor);

/* Scans (records.c): the words of an HSCAN, and what the answer says of the next one. */
void mf__redis_write_scan(mf_redis *redis, mf_key key, const char *cursor, const mf_scan *scan,
                          size_t limit);
void mf__redis_scanned(mf_scan *scan, const mf_value *fields);

/* A string that may be a task's id (tasks.c). */
bool mf__redis_is_id(const mf_value *value);

/* Hints (hints.c). */

void mf__hints_init(mf_redis *redis);
void mf__hints_clear(mf_redis *redis);
/* Tells the watchers what has become of the links. */
void mf__hints_tell(mf_redis *redis);
void mf__hints_watch(mf_broker *broker, mf_watcher *watcher);
void mf__hints_unwatch(mf_broker *broker, mf_watcher *watcher);
bool mf__hints_have_session(const mf_redis *redis);
/* Hints are being received by all that want them. */
bool mf__hints_are_received(const mf_redis *redis);
/* Somebody watches the nodes. */
bool mf__hints_want_nodes(const mf_redis *redis);
/* Tells those whose session it is not. */
void mf__hints_tell_node(mf_redis *redis, const char *token, const mf_node *node, bool gone);
/* Sentinels have named this server: goes there. */
void mf__hints_direct(mf_redis *redis, const mf_endpoint *server, const mf_error *why);
/* Leaves a server that is another than the one that requests go to. */
void mf__hints_follow(mf_redis *redis);

/* Replicas (confirm.c). */

int mf__confirm_open(mf_redis *redis, mf_error *error);
void mf__confirm_close(mf_redis *redis);
/* Calls a request that was answered back when enough replicas have confirmed it, or fails it with
 * MF_EUNKNOWN. */
void mf__confirm(mf_redis *redis, mf_request *request);
/* Fails all that wait: it is not known what has become of them. */
void mf__confirm_fail(mf_redis *redis, int code, const char *text);

/* Nodes (nodes.c). */

void mf__nodes_init(mf_redis *redis);
void mf__nodes_stop(mf_redis *redis);
/* A watcher of nodes has come. */
void mf__nodes_watch(mf_redis *redis);
/* What hints say: a line "<token> <tasks> <weight> <name>", or one for each node; of a session that
 * is known, how many tasks it holds, and that it has ended. Texts are cut apart. */
void mf__nodes_joined(mf_redis *redis, char *text);
void mf__nodes_listed(mf_redis *redis, char *text);
void mf__nodes_counted(mf_redis *redis, const char *token, uint64_t tasks);
void mf__nodes_gone(mf_redis *redis, const char *token);

/* Reaping (reap.c). */

void mf__reaper_init(mf_redis *redis);
void mf__reaper_stop(mf_redis *redis);
/* A task becomes claimable in `ms`. */
void mf__reaper_later(mf_redis *redis, int64_t ms);
/* The first session lapses in `ms`. */
void mf__reaper_look_in(mf_redis *redis, int64_t ms);
/* Gives back all that an ended session still holds, then calls done(error, arg), once. */
void mf__reap_session(mf_redis *redis, const char *token,
                      void (*done)(mf_redis *redis, const mf_error *error, int64_t wait_ms,
                                   void *arg),
                      void *arg);

/* Crashes (pardon.c). */

/* The session has come back: takes back what tasks were charged with when it lapsed. */
void mf__pardon(mf_redis *redis, const char *token);

/* Slots. */

void mf__redis_join(mf_broker *broker, mf_join_request *request);
void mf__redis_leave(mf_broker *broker, mf_session_request *request);
void mf__redis_renew(mf_broker *broker, mf_renew_request *request);
void mf__redis_claim(mf_broker *broker, mf_claims_request *request);
void mf__redis_release(mf_broker *broker, mf_claims_request *request);
void mf__redis_done(mf_broker *broker, mf_claims_request *request);
void mf__redis_claimable(mf_broker *broker, mf_page_request *request);
void mf__redis_receive(mf_broker *broker, mf_receive_request *request);
void mf__redis_submit_tasks(mf_broker *broker, mf_items_request *request);
void mf__redis_remove_tasks(mf_broker *broker, mf_items_request *request);
void mf__redis_tasks(mf_broker *broker, mf_page_request *request);
void mf__redis_lookup(mf_broker *broker, mf_lookup_request *request);
void mf__redis_nodes(mf_broker *broker, mf_nodes_request *request);
void mf__redis_send(mf_broker *broker, mf_send_request *request);
void mf__redis_load(mf_broker *broker, mf_load_request *request);
void mf__redis_store(mf_broker *broker, mf_store_request *request);
void mf__redis_mail(mf_broker *broker, mf_mail_request *request);
void mf__redis_tell(mf_broker *broker, mf_items_request *request);
void mf__redis_forget(mf_broker *broker, mf_items_request *request);
void mf__redis_states(mf_broker *broker, mf_states_request *request);
void mf__redis_held(mf_broker *broker, mf_held_request *request);
void mf__redis_describe(mf_broker *broker, mf_describe_request *request);

void mf__redis_hold(mf_broker *broker, mf_holds_request *request);
void mf__redis_copy(mf_broker *broker, mf_holds_request *request);
void mf__redis_drop(mf_broker *broker, mf_holds_request *request);
void mf__redis_free(mf_broker *broker, mf_holds_request *request);
void mf__redis_holds(mf_broker *broker, mf_holds_page_request *request);
void mf__redis_mark(mf_broker *broker, mf_mark_request *request);
void mf__redis_moved(mf_broker *broker, mf_mark_request *request);

#endif
