/* A consumer with a process handler, on the embedded broker and a real loop. */
#ifndef TEST_HANDLER_FIXTURE_H
#define TEST_HANDLER_FIXTURE_H

#include <stdbool.h>
#include <sys/types.h>

#include <metafora/metafora.h>
#include <metafora/process.h>

enum { PROCESS_LEASE_MS = 2000 };

typedef struct handler_fixture {
    char *directory; /* of the output, and for the commands: $D in their scripts */
    char broker_url[64];
    mf_process_options processes; /* to be changed before handler_open */
    mf_state_options states;
    mf_loop *loop;
    mf_broker *broker;
    mf_client *client;
    mf_consumer *consumer;
    bool closed;
    char log[65536];
    /* What handler_await waits for. */
    void (*on_line)(const char *text); /* of the log; NULL: none */
    bool (*condition)(struct handler_fixture *f, const void *arg);
    const void *arg;
    bool met;
    mf_timer look, patience;
} handler_fixture;

/* cmocka setup and teardown. */
int handler_setup(void **state);
int handler_teardown(void **state);

/* Opens the consumer with a plain or a stateful handler. */
void handler_open(handler_fixture *f);
void handler_open_stateful(handler_fixture *f);
/* Drains and frees it. */
void handler_close(handler_fixture *f);

/* Submits a task that runs `sh -c script`. */
void handler_submit(handler_fixture *f, const char *id, const char *script);
void handler_tell(handler_fixture *f, const char *id, mf_message message);

/* Runs the loop until the condition holds; fails the test after ten seconds. */
void handler_await(handler_fixture *f, bool (*condition)(handler_fixture *f, const void *arg),
                   const void *arg);
/* Until the task's output has the text, until the task is gone from the broker, or until the
 * broker has this state of it. */
void handler_await_output(handler_fixture *f, const char *id, const char *text);
void handler_await_gone(handler_fixture *f, const char *id);
void handler_await_state(handler_fixture *f, const char *id, mf_state_code code);

/* The task's state as JSON; the caller frees it. */
char *handler_state(handler_fixture *f, const char *id);
/* The text of the task's file, "" when there is none; the caller frees it. */
char *handler_output(handler_fixture *f, const char *id);
size_t count_text(const char *text, const char *wanted);
mf_consumer_statistics handler_statistics(const handler_fixture *f);
/* A child of this process by its name, such as "metafora-guard", or by how it begins; 0: there is
 * none. */
pid_t handler_child(const char *name);

#endif
