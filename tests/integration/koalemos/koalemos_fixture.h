/* A cluster of real koalemosd processes on a private broker, and what their event logs say. */
#ifndef TEST_KOALEMOS_FIXTURE_H
#define TEST_KOALEMOS_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checker.h"
#include "process.h"

/* Sanitizers make each process start slowly. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KOALEMOS_TASKS_A_NODE = 20, KOALEMOS_LEASE_MS = 3000 };
#else
enum { KOALEMOS_TASKS_A_NODE = 100, KOALEMOS_LEASE_MS = 2000 };
#endif
enum { KOALEMOS_NODES = 3, KOALEMOS_PATIENCE_MS = 60000 };

/* The private server, of the broker that the test is built for: broker_redis.c or broker_etcd.c. */
typedef struct koalemos_broker koalemos_broker;
/* `persistent`: it keeps what it has over a restart. */
koalemos_broker *broker_start(bool persistent);
void broker_free(koalemos_broker *broker);
const char *broker_url(const koalemos_broker *broker);
void broker_kill(koalemos_broker *broker);
void broker_restart(koalemos_broker *broker);
/* How long after its lease a dead node's task may wait for another one. */
int broker_takeover_ms(void);

typedef struct koalemos_fixture {
    char *directory; /* events-<node>, <node>.log, the tasks' logs; ran and locks by e2e-task */
    koalemos_broker *broker;
    process nodes[KOALEMOS_NODES]; /* "a", "b", "c" */
    char batch[128];               /* file for koalemosctl --batch */
    int batches;
    log_checker *checker;
    int news; /* inotify on the directory */
} koalemos_fixture;

/* cmocka setup and teardown: the server; no node yet. */
int koalemos_setup(void **state);
/* With a server that keeps what it has over a restart. */
int koalemos_setup_persistent(void **state);
int koalemos_teardown(void **state);

/* Starts node number `n`, with more arguments (ends with NULL; may be NULL), and waits until it has
 * joined. */
void koalemos_start(koalemos_fixture *f, int n, const char *const *more);
/* The same without waiting. */
void koalemos_launch(koalemos_fixture *f, int n, const char *const *more);

/* Adds a line for the next koalemos_submit. */
void koalemos_add(koalemos_fixture *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds `count` tasks of e2e-task that take from `least_ms` to `most_ms`. */
void koalemos_add_tasks(koalemos_fixture *f, int count, int least_ms, int most_ms);
/* From now on no e2e-task ends by itself; from now on they do. */
void koalemos_hold(koalemos_fixture *f);
void koalemos_let_go(koalemos_fixture *f);
/* Submits what was added, with koalemosctl, as <prefix>-1, <prefix>-2, ...; the checker expects
 * them to be done if they are e2e-task's. */
void koalemos_submit(koalemos_fixture *f, const char *prefix);

/* Runs koalemosctl with these arguments (ends with NULL); returns its exit status. Its output is in
 * f->directory/ctl, text in koalemos_text(f, "ctl"). */
int koalemos_ctl(koalemos_fixture *f, const char *const *arguments);

/* A file of the directory, to be freed; "" when it is not there. */
char *koalemos_text(koalemos_fixture *f, const char *name);

bool koalemos_has(koalemos_fixture *f, const char *name, const char *text);

/* How many lines of the node's event log have this text. */
size_t koalemos_count(koalemos_fixture *f, int n, const char *text);
/* Tasks that node `from` has claimed and node `by` too. */
size_t koalemos_taken(koalemos_fixture *f, int from, int by);
/* Different tasks that are done. */
size_t koalemos_done(koalemos_fixture *f);

/* Waits, woken by the logs, until the condition holds; fails the test when it takes too long. */
#define KOALEMOS_AWAIT(f, condition)                        \
    do {                                                    \
        int64_t last_ = clock_ms() + KOALEMOS_PATIENCE_MS;  \
        while (!(condition))                                \
            koalemos_wait_for_news((f), last_, #condition); \
    } while (0)
void koalemos_wait_for_news(koalemos_fixture *f, int64_t last_ms, const char *what);

/* The steady clock of the event logs. */
int64_t koalemos_now_us(void);

/* Gives all logs to the checker and runs it: no violation, and so many takeovers at least, each
 * within its time. */
void koalemos_check(koalemos_fixture *f, size_t least_takeovers);

/* No process of e2e-task is alive. */
bool koalemos_none_alive(koalemos_fixture *f);

#endif
