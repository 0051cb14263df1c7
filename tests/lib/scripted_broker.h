/* A broker that only records requests: the test answers each, or lets its kind be answered after a
 * delay. It stores nothing and judges nothing. */
#ifndef MF_TESTS_SCRIPTED_BROKER_H
#define MF_TESTS_SCRIPTED_BROKER_H

#include <metafora/driver.h>

typedef enum script_kind {
    JOIN,
    LEAVE,
    RENEW, /* a lease */
    RENEW_SESSION,
    CLAIM,
    RELEASE,
    DONE,
    CLAIMABLE,
    RECEIVE,
    NODES,
    LOAD,
    STORE,
    MAIL,
    SCRIPT_KINDS
} script_kind;

/* How the requests of a kind are answered. */
typedef struct script_rule {
    bool held;        /* only by script_answer */
    int64_t delay_us; /* else after this long */
    int code;         /* for the whole request */
    int result;       /* for each of its claims or writes */
} script_rule;

typedef struct script_call script_call;

typedef struct script {
    mf_broker broker; /* first */
    mf_watcher *watcher;
    script_rule rules[SCRIPT_KINDS]; /* all zero: everything succeeds at once */
    size_t counts[SCRIPT_KINDS];     /* requests made */
    size_t under_way[SCRIPT_KINDS];
    uint64_t epoch;    /* of the last join that was made */
    double weight;     /* likewise */
    script_call *open; /* unanswered, oldest first */
    bool closed;
} script;

script *script_new(mf_loop *loop);
void script_free(script *me);

/* The link, and that hints come again, as the watcher is told of them. */
void script_link(script *me, bool up);

/* The oldest unanswered request of the kind, or NULL. */
mf_request *script_first(const script *me, script_kind kind);
/* Answers it with the code; its claims or writes get the rule's result. */
void script_answer(script *me, script_kind kind, int code);

#endif
