/* What the daemon and its guard tell each other: frames on a stream socket between two processes
 * of one program, so in the machine's own byte order and layout. */
#ifndef KOALEMOSD_WIRE_H
#define KOALEMOSD_WIRE_H

#include <stdint.h>
#include <sys/types.h>

#include <event2/buffer.h>

typedef enum frame_type {
    /* daemon to guard */
    FRAME_START = 1, /* start_head, then its strings */
    FRAME_RENEW,     /* renewal: a later deadline */
    FRAME_SIGNAL,    /* signal_order */
    FRAME_PING,      /* uint64_t */
    /* guard to daemon */
    FRAME_STARTED, /* started_report */
    FRAME_ENDED,   /* ended_report */
    FRAME_PONG     /* uint64_t, as in the ping */
} frame_type;

typedef struct frame_head {
    uint32_t type;
    uint32_t size; /* of what follows */
} frame_head;

/* A process is known by its slot, which the daemon chooses and uses again after FRAME_ENDED. */
typedef struct start_head {
    int64_t deadline_us;
    uint64_t fence;
    uint32_t slot;
    uint32_t argument_count;
    /* Strings, each with its NUL: task id, path of the output file, node, the arguments. */
} start_head;

typedef struct koa_renewal {
    int64_t deadline_us;
    uint32_t slot;
} koa_renewal;

typedef struct signal_order {
    uint32_t slot;
    int32_t number;
} signal_order;

typedef struct started_report {
    uint32_t slot;
    pid_t pid;
} started_report;

typedef enum end_cause {
    END_OWN,      /* the process ended by itself, or by a signal that was asked for */
    END_DEADLINE, /* its lease ended: the guard killed it, or did not start it */
    END_FAILED,   /* it could not be started; `status` is the errno */
    END_GUARD,    /* the guard is gone, and with it the process */
    END_DAEMON    /* the daemon is gone: told to the event log alone */
} end_cause;

typedef struct ended_report {
    int64_t at_us;
    int64_t user_us, system_us; /* processor time of the process and the children it waited for */
    int64_t max_rss_kib;
    uint32_t slot;
    int32_t cause;  /* end_cause */
    int32_t code;   /* CLD_EXITED, CLD_KILLED or CLD_DUMPED */
    int32_t status; /* exit status, signal number or errno */
} ended_report;

/* Appends a frame. Returns 0, or -1 when memory is out. */
int frame_add(struct evbuffer *out, frame_type type, const void *payload, size_t size);

/* The next whole frame, to be drained with frame_drain; 0 when there is none yet. The payload is
 * borrowed from the buffer, and not aligned. */
frame_type frame_peek(struct evbuffer *in, const void **payload, size_t *size);
void frame_drain(struct evbuffer *in, size_t size);

/* "exit status 3", "signal 9 (Killed)", ... */
void end_describe(const ended_report *end, char *text, size_t size);

#endif
