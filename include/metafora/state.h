/* The state machine: a handler adapter for tasks that can be paused, put to sleep, killed and
 * retried, and whose state outlives their owner. docs/state-machine.md tells the whole story. */
#ifndef METAFORA_STATE_H
#define METAFORA_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <metafora/error.h>
#include <metafora/export.h>
#include <metafora/handler.h>
#include <metafora/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Times, as RFC 3339 has them in JSON. */

/* A moment with nanoseconds, and the offset from UTC in which it is written. */
typedef struct mf_time {
    int64_t seconds; /* since 1970-01-01 UTC */
    int32_t nanoseconds;
    int16_t offset_minutes;
} mf_time;

/* Microseconds since 1970-01-01 UTC, as mf_loop_wall_us has them. What does not fit becomes the
 * nearest value that does. */
MF_EXPORT mf_time mf_time_from_wall_us(int64_t wall_us);
MF_EXPORT int64_t mf_time_to_wall_us(const mf_time *time);

/* Reads a time such as 2026-11-24T02:27:14.24997914Z or ...+02:00, strictly. Digits of the fraction
 * beyond nanoseconds are dropped. MF_EINVAL. */
MF_EXPORT int mf_time_parse(mf_time *out, const char *text, size_t length, mf_error *error);

/* Writes the time as the Go library does: without trailing zeros in the fraction, with Z for UTC.
 * MF_EINVAL: its year is not between 0 and 9999. */
#define MF_TIME_SIZE 40
MF_EXPORT int mf_time_format(char out[MF_TIME_SIZE], const mf_time *time, mf_error *error);

/* States. */

typedef enum mf_state_code {
    MF_STATE_RUNNABLE,
    MF_STATE_SLEEPING,  /* until a time */
    MF_STATE_PAUSED,    /* until a message */
    MF_STATE_FAULT,     /* after an error, until the error handler has decided */
    MF_STATE_COMPLETED, /* from here on terminal: the task is gone, its state stays readable */
    MF_STATE_KILLED,
    MF_STATE_FAILED
} mf_state_code;

/* A static string such as "runnable". */
MF_EXPORT const char *mf_state_text(mf_state_code code);
MF_EXPORT bool mf_state_is_terminal(mf_state_code code);

typedef struct mf_state_error {
    mf_time timestamp;
    const char *text;
} mf_state_error;

typedef struct mf_state {
    mf_state_code code;
    bool has_until; /* always with MF_STATE_SLEEPING */
    mf_time until;
    mf_state_error *errors; /* oldest first */
    size_t error_count;
} mf_state;

/* Reads {"state":"sleeping","until":"...","errors":[{"timestamp":"...","error":"..."}]}. Members
 * that are not known are ignored. *out is the caller's until mf_state_clear. MF_EINVAL names the
 * member and the rule; MF_ENOMEM. */
MF_EXPORT int mf_state_parse(mf_state *out, const char *json, size_t length, mf_error *error);
/* Byte for byte what the Go library writes; the caller frees *out with free(). */
MF_EXPORT int mf_state_format(char **out, const mf_state *state, mf_error *error);
MF_EXPORT void mf_state_clear(mf_state *state);

/* Messages: what makes a state into another. */

typedef enum mf_message_code {
    MF_MESSAGE_RUN,
    MF_MESSAGE_SLEEP, /* until a time */
    MF_MESSAGE_PAUSE,
    MF_MESSAGE_KILL,
    MF_MESSAGE_ERROR,
    MF_MESSAGE_COMPLETE,
    MF_MESSAGE_CHECKPOINT, /* keep the state, run on */
    MF_MESSAGE_RELEASE     /* keep the state, give the task back */
} mf_message_code;

/* A static string such as "run". */
MF_EXPORT const char *mf_message_text(mf_message_code code);

/* A plain value: nothing in it needs to be freed. */
typedef struct mf_message {
    mf_message_code code;
    bool has_until; /* always with MF_MESSAGE_SLEEP */
    mf_time until;
    char error[232]; /* MF_MESSAGE_ERROR: what went wrong */
} mf_message;

MF_EXPORT mf_message mf_message_of(mf_message_code code); /* but for sleep and error */
/* Beyond the year 9999 it is an error of the task. */
MF_EXPORT mf_message mf_message_sleep_until(int64_t wall_us);
MF_EXPORT mf_message mf_message_error(const char *format, ...) MF_PRINTF(1, 2);

/* Reads {"message":"sleep","until":"..."}; "error" may be an object, with or without a "text", or a
 * string. Members that are not known are ignored. MF_EINVAL names the member and the rule. */
MF_EXPORT int mf_message_parse(mf_message *out, const char *json, size_t length, mf_error *error);
/* The caller frees *out with free(). */
MF_EXPORT int mf_message_format(char **out, const mf_message *message, mf_error *error);

/* Applies the message. The state's `until` becomes the message's; checkpoint and release keep it,
 * and an error in a sleep keeps it too, so that no retry comes before its end. An error is added to
 * the state's errors, with the time `now`. MF_EINVAL: there is no such transition, or `until` is
 * not between the years 0 and 9999, and the state is as it was; MF_ENOMEM likewise. */
MF_EXPORT int mf_state_apply(mf_state *state, const mf_message *message, const mf_time *now,
                             mf_error *error);

/* The handler. */

#define MF_STATE_OPTIONS_VERSION 1

/* Zero or NULL in a field means its default. Either `run`, or `start` and `on_message`. */
typedef struct mf_state_options {
    int version;

    /* Blocking. Runs a task that is runnable, on a thread of its own, and returns the message that
     * makes its next state: complete, sleep, error, pause, checkpoint (to be run again at once) or
     * release. It waits for messages in mf_task_receive, and returns soon after one came: normally
     * that message. */
    mf_message (*run)(mf_task *task, void *payload);
    size_t stack_size; /* bytes for `run`'s thread, 16 KiB to 1 GiB; 256 KiB */

    /* Evented. Both run on the loop thread and must not block. `start` begins to run a task that is
     * runnable, until mf_task_return. `on_message`: return soon, normally with that message; a
     * later one replaces it. */
    void (*start)(mf_task *task, void *payload);
    void (*on_message)(mf_task *task, const mf_message *message, void *payload);

    /* Decides after an error, on the loop thread: returns sleep, or error to fail the task.
     * `state` holds the errors so far, the new one last, and *keep how many of them, counted from
     * the newest, are to be kept, at most 500. Default: with `max_errors` (8; up to 500) within
     * `error_window_ms` (four hours) it fails, else it sleeps for `retry_ms` (ten minutes); older
     * errors are dropped. Both times are at most a hundred years. */
    mf_message (*on_error)(mf_task *task, const mf_state *state, size_t *keep, void *payload);
    int max_errors;
    int64_t error_window_ms, retry_ms;

    /* 10,000; at most a day. A task whose state can be neither read nor written for now is given
     * back after this long. */
    int release_pause_ms;

    /* May be NULL. Called once, when the consumer that took the handler is gone. */
    void (*free)(void *payload);
    void *payload;
} mf_state_options;

#define MF_STATE_OPTIONS_INIT                            \
    {                                                    \
        MF_FIRST_FIELD(version) MF_STATE_OPTIONS_VERSION \
    }

/* A handler for mf_consumer_options; the options are copied. mf_consumer_open refuses one whose
 * options break a rule (MF_EINVAL, the text names it) or for which there was no memory (MF_ENOMEM),
 * and a broker that keeps no states (MF_ENOTSUP).
 *
 * A task that starts goes on in the state that the broker has of it, or is runnable. Sleeping and
 * paused tasks are held, but run no code and have no thread. A message that comes while the handler
 * runs goes to the handler. A request to stop is to it a release message. A message that is not for
 * the state that the task is in counts as an error; where an error cannot be, it is ignored. States
 * are written with the claim's fence before anything else is done. */
MF_EXPORT mf_handler mf_stateful_handler(const mf_state_options *options);

/* Waits for a message, at most `timeout_ms` (negative: without limit); true when there is one. Once
 * the task has to stop it is always release. For the thread that runs the task; on any other it
 * returns false at once. */
MF_EXPORT bool mf_task_receive(mf_task *task, int timeout_ms, mf_message *message);

/* Ends the run of an evented handler. Loop thread only, once for each start, also from inside start
 * or on_message; the task is not to be touched afterwards. */
MF_EXPORT void mf_task_return(mf_task *task, const mf_message *message);

/* The task's state with its errors, borrowed while the handler runs. */
MF_EXPORT const mf_state *mf_task_state(const mf_task *task);

#ifdef __cplusplus
}
#endif
#endif
