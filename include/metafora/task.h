/* Tasks as handlers see them. */
#ifndef METAFORA_TASK_H
#define METAFORA_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include <metafora/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_task mf_task;
typedef struct mf_consumer mf_consumer;

/* How a handler ends. */
typedef enum mf_outcome {
    MF_DONE,   /* finished for good: the task is removed from the broker */
    MF_RELEASE /* given back: any node, this one included, may claim it again */
} mf_outcome;

/* Why a task is asked to stop; a later, more urgent reason replaces an earlier one. */
typedef enum mf_stop_reason {
    MF_STOP_NONE,
    MF_STOP_BALANCE,  /* the balancer gives it up */
    MF_STOP_COMMAND,  /* a stop_task command */
    MF_STOP_SHUTDOWN, /* the consumer is draining */
    MF_STOP_EXPIRING, /* the lease cannot be renewed: stop before it ends */
    MF_STOP_DELETED,  /* the task was removed from the broker */
    MF_STOP_LOST      /* the broker says that the claim is not ours any more */
} mf_stop_reason;

/* A static string such as "balance". */
MF_EXPORT const char *mf_stop_reason_text(mf_stop_reason reason);

/* These read the task; from any thread, between the handler's start and its end.
 * mf_task_id and mf_task_properties are borrowed for that time. */
MF_EXPORT const char *mf_task_id(const mf_task *task);
/* JSON text, or NULL for a task without properties. */
MF_EXPORT const char *mf_task_properties(const mf_task *task);
/* Rises with every new owner of the task. Give it to what the task writes to, so that a late
 * owner's write can be refused there. */
MF_EXPORT uint64_t mf_task_fence(const mf_task *task);
/* Milliseconds for which the claim is certain to hold; 0 when it may have ended. Falls to zero
 * while the broker cannot be reached. */
MF_EXPORT int64_t mf_task_lease_remaining(const mf_task *task);
/* True from the first request to stop, and always when the lease is within its stop_grace of its
 * end, even while the loop's thread is held up. */
MF_EXPORT bool mf_task_stopping(const mf_task *task);
MF_EXPORT mf_stop_reason mf_task_stop_reason(const mf_task *task);
MF_EXPORT mf_consumer *mf_task_consumer(const mf_task *task);

/* Waits until the task is asked to stop, at most `timeout_ms` (negative: without limit).
 * Returns mf_task_stopping. For blocking handlers, on the thread that runs the task. Anywhere else,
 * the loop's thread and a handler's further threads included, it does not wait but returns at once.
 */
MF_EXPORT bool mf_task_wait_stop(mf_task *task, int timeout_ms);

/* Ends an evented task; the task is not to be touched afterwards. Loop thread only, once, also from
 * inside start or stop. The outcome is sent to the broker until it answers. */
MF_EXPORT void mf_task_finish(mf_task *task, mf_outcome outcome);

/* A pointer of the handler's own, NULL at start; the library never touches what it points to. */
MF_EXPORT void mf_task_set_data(mf_task *task, void *data);
MF_EXPORT void *mf_task_data(const mf_task *task);
/* The memory_size bytes that the handler asked for: zero at start, aligned for pointers and 64-bit
 * numbers, the handler's until mf_task_finish. */
MF_EXPORT void *mf_task_memory(mf_task *task);

#ifdef __cplusplus
}
#endif
#endif
