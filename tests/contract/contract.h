/* Help for the cases of the contract suite: peers, requests made one at a time, waits with a bound.
 *
 * All that a case makes belongs to its contract and is closed and freed when the case is over, also
 * when an assertion has left it half way. */
#ifndef MF_TESTS_CONTRACT_H
#define MF_TESTS_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

typedef struct contract contract;
typedef struct peer peer;
typedef struct call call;

struct contract {
    fixture *fixture;
    mf_loop *loop;
    char name_space[64]; /* of this case alone */
    peer *peers;
    call *calls;
    struct keepsake *kept;
    struct ending *endings;
    size_t brokers; /* open */
    FILE *log;      /* printed when the case fails */
    bool (*until)(void *arg);
    void *until_arg;
    bool timed_out;
};

/* One case and what it needs. A file's table ends with an empty one. */
typedef struct contract_case {
    const char *name;
    void (*run)(contract *c);
    unsigned needs;
} contract_case;

#define CASE(function)                     \
    {                                      \
#function, function, NEEDS_NOTHING \
    }
#define CASE_NEEDS(function, needs) \
    {                               \
#function, function, needs  \
    }

extern const contract_case claim_cases[], lease_cases[], session_cases[], task_cases[],
    command_cases[], input_cases[], lifetime_cases[], link_cases[], server_cases[],
    coordinator_cases[], consumer_cases[], state_cases[], hold_cases[];

enum { REPLY_BOUND_MS = 10000 };

/* Memory until the end of the case. */
void *keep(contract *c, size_t size);
char *keep_text(contract *c, const char *format, ...) MF_PRINTF(2, 3);

/* Runs the loop until the condition holds; false when it does not within the time. Whoever changes
 * what a condition looks at calls `poke`. */
bool wait_until(contract *c, bool (*condition)(void *arg), void *arg, int bound_ms);
void poke(contract *c);
/* Runs the loop for a time, when it is the passing of time that is tested. */
void pass_time(contract *c, int ms);

/* What the loop logs is shown if the case fails. The case's own loop does so from the start. */
void log_here(contract *c, mf_loop *loop);

/* Calls fn(arg) when the case is over, the last one first, before handles are closed. */
void at_end(contract *c, void (*fn)(void *arg), void *arg);

/* Options with the case's namespace. */
mf_broker_options contract_options(const contract *c);
mf_broker *open_broker(contract *c, const char *url, bool wait_for_broker);
void close_broker(contract *c, mf_broker *broker);

/* Peers: a handle, a session on it, and a watcher that remembers what it heard. */

typedef enum heard { HEARD_CLAIMABLE, HEARD_TAKEN, HEARD_REMOVED, HEARD_KINDS } heard;

struct peer {
    contract *c;
    peer *next;
    mf_broker *broker;
    mf_session session;
    mf_watcher watcher;
    bool up;
    unsigned downs, resyncs, commands;
    int why_down;
    char **heard[HEARD_KINDS];
    size_t heard_count[HEARD_KINDS];
    mf_node neighbour; /* the node that was last told of; its name stays */
    bool neighbour_gone;
};

/* A peer that may not have connected yet. */
peer *peer_opened(contract *c, const char *url, const char *node);
/* The same, on a handle that waits for a broker that is not there. */
peer *peer_opened_waiting(contract *c, const char *url, const char *node);
/* Waits until it has, and returns it. */
peer *peer_ready(peer *p);
/* A peer whose link is up; `peer_linked` by the fixture's link; neither has joined. */
peer *peer_new(contract *c, const char *node);
peer *peer_linked(contract *c, const char *node);
/* Another peer with the session of this one: what another copy of its requests would do. */
peer *peer_ghost(peer *of);
/* A peer that has joined. */
peer *peer_joined(contract *c, const char *node, int lease_ms);
void peer_close(peer *p);
bool wait_heard(peer *p, heard kind, const char *id, int bound_ms);
/* Until the peer has been told last that the node has so many tasks; -1: that it is gone. */
bool wait_neighbour(peer *p, const char *node, int64_t tasks, int bound_ms);
bool wait_commands(peer *p, unsigned count, int bound_ms);
bool wait_resyncs(peer *p, unsigned count, int bound_ms);
bool wait_up(peer *p, bool up, int bound_ms);
bool wait_downs(peer *p, unsigned count, int bound_ms);

/* Requests. A call is answered when `finished`; what it gave out is copied and stays. */
struct call {
    contract *c;
    call *next;
    bool finished;
    unsigned answers; /* must end as 1 */
    union {
        mf_request head;
        mf_join_request join;
        mf_session_request session;
        mf_renew_request renew;
        mf_claims_request claims;
        mf_items_request items;
        mf_page_request page;
        mf_lookup_request lookup;
        mf_nodes_request nodes;
        mf_send_request send;
        mf_receive_request receive;
        mf_holds_request holds;
        mf_holds_page_request holds_page;
        mf_mark_request mark;
    } request;
};

/* Waits for the answer and returns its code. */
int call_wait(call *call);

call *start_join(peer *p, bool takeover);
call *start_leave(peer *p);
call *start_renew(peer *p, mf_claim *claims, size_t count);
call *start_claim(peer *p, mf_claim *claims, size_t count);
call *start_release(peer *p, mf_claim *claims, size_t count);
call *start_done(peer *p, mf_claim *claims, size_t count);
call *start_submit(peer *p, const char *token, mf_item *items, size_t count);
call *start_remove(peer *p, const char *token, mf_item *items, size_t count);
call *start_claimable(peer *p, const char *cursor, size_t limit);
call *start_tasks(peer *p, const char *cursor, size_t limit);
call *start_lookup(peer *p, const char *const *ids, size_t count);
call *start_nodes(peer *p);
call *start_send(peer *p, const char *node, const char *json);
call *start_receive(peer *p, uint64_t acknowledged, size_t limit);

typedef void (*items_slot)(mf_broker *broker, mf_items_request *request);
call *start_items(peer *p, items_slot slot, const char *token, mf_item *items, size_t count);

/* Of a migration: hold, copy, drop and free. What hold gives out is copied. */
typedef void (*holds_slot)(mf_broker *broker, mf_holds_request *request);
call *start_holds(peer *p, holds_slot slot, const char *migration, mf_hold *holds, size_t count);
call *start_holds_page(peer *p, const char *cursor, size_t limit);
call *start_mark(peer *p, const mf_mark *mark);
call *start_moved(peer *p);

int join(peer *p);
int join_again(peer *p); /* with the next epoch */
int leave(peer *p);

/* For one task: the request's code when that is not MF_OK, else the task's. */
int claim(peer *p, mf_claim *claim);
int release(peer *p, mf_claim *claim);
int done(peer *p, mf_claim *claim);
int renew(peer *p, mf_claim *claim);
int submit(peer *p, const char *id);
int remove_task(peer *p, const char *id);

/* Claims again until it is granted, for as long as it is refused with MF_ETAKEN. */
int claim_within(peer *p, mf_claim *claim, int bound_ms);

/* Many: ids are the prefix and a number from 0 on. All must succeed. */
mf_claim *new_claim(contract *c, const char *id);
mf_claim *new_claims(contract *c, const char *prefix, size_t count);
void submit_many(peer *p, const char *prefix, size_t count);
/* Claims in batches; returns how many were granted. */
size_t claim_many(peer *p, mf_claim *claims, size_t count);

/* One record, copied. */
const mf_task_record *lookup(peer *p, const char *id);
bool is_claimable(peer *p, const char *id);
size_t count_claimable(peer *p);
size_t count_tasks(peer *p);
/* What a node has of tasks; -1: no such node. */
int64_t node_tasks(peer *p, const char *node);
int send_command(peer *p, const char *node, const char *json);

#endif
