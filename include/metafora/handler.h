/* Handlers: the user's code that runs one task. */
#ifndef METAFORA_HANDLER_H
#define METAFORA_HANDLER_H

#include <stddef.h>

#include <metafora/export.h>
#include <metafora/task.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MF_HANDLER_VERSION 1

/* Either `run`, or `start` and `stop`. */
typedef struct mf_handler {
    int version;

    /* Evented. Both run on the loop thread and must not block.
     * start: begin the task; it goes on until mf_task_finish, which may be called from here.
     * stop: end the task soon and call mf_task_finish. Comes again when a more urgent reason
     * arises, never concurrently with itself, never after mf_task_finish. */
    void (*start)(mf_task *task, void *payload);
    void (*stop)(mf_task *task, mf_stop_reason reason, void *payload);

    /* Blocking. Runs the task on a thread of its own and returns how it ended; it asks
     * mf_task_stopping or waits in mf_task_wait_stop. Signals are blocked on that thread. */
    mf_outcome (*run)(mf_task *task, void *payload);
    size_t stack_size; /* bytes for `run`'s thread, 16 KiB to 1 GiB; 0: 256 KiB */

    /* May be NULL. Called once, when the consumer that took the handler is gone. */
    void (*free)(void *payload);
    void *payload;

    /* Bytes of memory that the handler has with each task, in one allocation with the library's
     * own: mf_task_memory. Tasks that are only known to be claimable have it as well. At most
     * 1 MiB. */
    size_t memory_size;

    /* For adapters such as mf_stateful_handler; NULL: messages to tasks are not read. A message for
     * a task that has started and not ended, on the loop thread; one that was not acknowledged may
     * come again, with the same number. */
    void (*message)(mf_task *task, uint64_t number, const char *json, size_t length, void *payload);

    /* Of a handler that could not be made, whose version is an error code: the field and the rule
     * that it breaks, a static text; may be NULL. */
    const char *refusal;
} mf_handler;

MF_EXPORT mf_handler mf_blocking_handler(mf_outcome (*run)(mf_task *task, void *payload),
                                         void *payload);
MF_EXPORT mf_handler mf_evented_handler(void (*start)(mf_task *task, void *payload),
                                        void (*stop)(mf_task *task, mf_stop_reason reason,
                                                     void *payload),
                                        void *payload);

#ifdef __cplusplus
}
#endif
#endif
