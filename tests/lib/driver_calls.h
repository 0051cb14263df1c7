/* A driver's operations as calls that return when they are answered, for tests of real brokers.
 *
 * What is not answered within ten seconds fails the test. */
#ifndef MF_TESTS_DRIVER_CALLS_H
#define MF_TESTS_DRIVER_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/driver.h>

enum { DRIVER_NODES_MOST = 64 };

typedef struct driver_node {
    char name[64];
    int64_t tasks; /* -1: it is gone */
    double weight;
} driver_node;

/* A handle, a watcher on it, and what the watcher was told. */
typedef struct driver_handle {
    mf_loop *loop;
    mf_broker *broker;
    mf_watcher watcher;
    bool watching, up; /* up: the link, as last told */
    /* The watcher's, when it is set before driver_watch; otherwise `nodes` is kept up. */
    void (*node_changed)(mf_watcher *watcher, const mf_node *node, bool gone);
    unsigned ups, downs, resyncs, commands;
    size_t claimable, taken, removed; /* ids in hints */
    char last_claimable[256], last_removed[256];
    driver_node nodes[DRIVER_NODES_MOST]; /* as told of */
    size_t node_count;
    unsigned node_hints;
    bool may_lag;   /* claimable tasks and nodes are asked for as consumers do */
    mf_error why;   /* of the last loss */
    mf_error error; /* of the last request */
} driver_handle;

/* Opens a handle; the code of the driver's open, whose error is then in `error`. */
int driver_open(driver_handle *h, const mf_driver *driver, mf_loop *loop, const char *url,
                const mf_broker_options *options);
/* Harmless when it was not opened. */
void driver_close(driver_handle *h);

/* Begins to watch, as `session` (may be NULL), and waits until the link is up or down. */
void driver_watch(driver_handle *h, const mf_session *session);
void driver_unwatch(driver_handle *h);

/* Runs the loop until *value, which the loop's callbacks change, is at least `least`. */
void driver_await(driver_handle *h, const unsigned *value, unsigned least);
void driver_await_size(driver_handle *h, const size_t *value, size_t least);
void driver_run_ms(driver_handle *h, int64_t ms);

mf_session driver_session(const char *node, char token, int64_t lease_ms);

/* Requests. Each returns the code of the whole request. */
int driver_join(driver_handle *h, mf_session *session);
int driver_join_with(driver_handle *h, mf_join_request *request);
int driver_leave(driver_handle *h, mf_session *session);
int driver_renew(driver_handle *h, mf_session *session);

/* One task. The task's code, or that of the whole request. */
int driver_submit(driver_handle *h, const char *token, const char *id, const char *properties);
int driver_submit_list(driver_handle *h, const char *token, mf_item *items, size_t count);
int driver_remove(driver_handle *h, const char *token, const char *id);
int driver_claim(driver_handle *h, mf_session *session, mf_claim *claim);
int driver_claim_list(driver_handle *h, mf_session *session, mf_claim **claims, size_t count);
int driver_release(driver_handle *h, mf_session *session, mf_claim *claim);
int driver_done(driver_handle *h, mf_session *session, mf_claim *claim);
/* MF_OK while the claim is the session's. */
int driver_renew_one(driver_handle *h, mf_session *session, mf_claim *claim);
/* Claims of one lease: how many of them are lost. The request must succeed. */
size_t driver_renew_list(driver_handle *h, mf_session *session, mf_claim **claims, size_t count);

/* Tasks "<prefix>0", "<prefix>1", ... in batches; every one must succeed. */
void driver_submit_many(driver_handle *h, const char *prefix, size_t count);
void driver_claim_many(driver_handle *h, mf_session *session, const char *prefix, size_t count);

/* How many are claimable, over all pages. */
size_t driver_count_claimable(driver_handle *h);
/* How many tasks there are, and how many of them are damaged. */
size_t driver_count_tasks(driver_handle *h, size_t *damaged);

/* The live nodes, and how many tasks one of them holds; -1: it is not among them. */
size_t driver_count_nodes(driver_handle *h);
int64_t driver_node_tasks(driver_handle *h, const char *node);

/* How many tasks hints say that the node holds; -1: none has told of it, or that it is gone. */
int64_t driver_told_tasks(const driver_handle *h, const char *node);
/* Waits until hints say that it holds so many, or -1. */
void driver_await_told(driver_handle *h, const char *node, int64_t tasks);

int driver_lookup(driver_handle *h, const char *id, uint64_t *fence, char *owner, size_t size);
int driver_send(driver_handle *h, const char *node, const char *json);
/* The commands' texts, each followed by a space; *last is the sequence number of the last one. */
int driver_receive(driver_handle *h, mf_session *session, uint64_t acknowledged, uint64_t *last,
                   char *out, size_t size);

/* A request without waiting: run the loop until pending->answered. */
typedef struct driver_pending {
    mf_claims_request request;
    mf_claim *claim;
    mf_loop *loop;
    unsigned answered;
} driver_pending;
typedef void (*driver_claims_slot)(mf_broker *broker, mf_claims_request *request);
void driver_begin(driver_handle *h, driver_pending *pending, driver_claims_slot slot,
                  mf_session *session, mf_claim *claim);

#endif
