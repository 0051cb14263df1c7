/* Inside the client: calls, made of pieces of work, each of which is one request at a time.
 *
 * A call is one block of memory that also holds copies of its input. A piece of work waits in
 * `ready`, is under way with the driver, or is set aside in `parked` until the link is up again;
 * then it is sent once more, a submit with the same token. Requests that are under way belong to
 * the driver: a call whose client closes lives on without it until the last one has come back. */
#ifndef MF_CLIENT_INTERNAL_H
#define MF_CLIENT_INTERNAL_H

#include <metafora/driver.h>

enum {
    MF_CLIENT_REQUESTS = 32,           /* under way at a time */
    MF_CLIENT_BATCH_BYTES = 512 * 1024 /* of strings in one request, but for a single longer item */
};

/* A call fails when it had no answer for so long since its first failure. Within a minute of the
 * first try the broker still knows the token of a submit. */
#define MF_CLIENT_LIMIT_US INT64_C(30000000)
#define MF_CLIENT_TOKEN_US INT64_C(50000000)

typedef struct mf_call mf_call;
typedef struct mf_work mf_work;

typedef enum mf_work_state {
    MF_WORK_IDLE, /* answered, or given up */
    MF_WORK_READY,
    MF_WORK_PARKED,
    MF_WORK_UNDER_WAY
} mf_work_state;

struct mf_work {
    union {
        mf_request head;
        mf_items_request items;
        mf_page_request page;
        mf_lookup_request lookup;
        mf_nodes_request nodes;
        mf_send_request send;
        mf_load_request load;
        mf_states_request states;
    } request;
    mf_call *call;
    mf_work *next, *prev;
    int64_t first_sent_us;
    mf_work_state state;
    bool unknown; /* an earlier try may have been executed */
    bool second;  /* of two steps */
    char token[33];
};

typedef struct mf_call_kind {
    /* Hands the request to the driver. */
    void (*send)(mf_broker *broker, mf_work *work);
    /* Takes the driver's answer; true: the request is to be sent again, for more. */
    bool (*answered)(mf_work *work);
    /* Work that will have no answer. May be NULL. */
    void (*given_up)(mf_work *work, int code);
    /* Calls the user back; `error` NULL: all went well. */
    void (*finish)(mf_call *call, const mf_error *error);
    bool has_token; /* a request that is repeated too late is a new one */
} mf_call_kind;

/* The head of every call. */
struct mf_call {
    const mf_call_kind *kind;
    mf_client *client; /* NULL: it has closed */
    mf_call *next, *prev;
    mf_call *next_finished;
    uint64_t serial;
    mf_work *works;
    size_t work_count;
    size_t left;      /* works that have no answer yet */
    size_t under_way; /* works that are with the driver */
    bool finished;    /* soon to be called back */
    int64_t failing_since_us;
    mf_error failure; /* the last one that is worth another try */
    mf_error error;   /* why the call failed */
};

struct mf_client {
    mf_broker *broker;
    mf_watcher watcher;
    mf_timer tick; /* runs while work is parked */
    mf_deferred finish;
    mf_call *calls; /* by serial */
    mf_call *finished, **finished_end;
    mf_work *ready, *parked;
    size_t under_way;
    uint64_t serial;
    uint64_t waited_serial; /* mf_client_wait waits for all up to this one; 0: it is not called */
    unsigned callbacks;     /* of the user's, on the stack */
    bool link_up;
    bool was_up; /* the broker has been reached at least once */
    mf_error first_error, shown_error;
};

/* Adds a call with its works, which are filled in but for what the client itself keeps. */
void mf__client_start(mf_client *client, mf_call *call, const mf_call_kind *kind);

/* A text for MF_ENOMEM. */
int mf__client_no_memory(mf_error *error);

/* MF_ENOTSUP on a broker that keeps no states. */
int mf__client_needs_states(const mf_client *client, mf_error *error);

/* MF_EINVAL names the first bad id. `bytes` is what they take with their zero bytes. */
int mf__client_check_ids(const char *const *ids, size_t count, size_t *bytes, mf_error *error);
/* Copies them to memory for `count` pointers and then those bytes. */
const char **mf__client_copy_ids(void *memory, const char *const *ids, size_t count);

#endif
