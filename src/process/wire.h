/* What the host, its guard and their scribe tell each other: frames on a stream socket between two
 * processes of one program, so in the machine's own byte order and layout. */
#ifndef MF_PROCESS_WIRE_H
#define MF_PROCESS_WIRE_H

#include <stdint.h>
#include <sys/types.h>

struct evbuffer;

typedef enum mf__frame_type {
    /* host to guard */
    FRAME_START = 1, /* mf__start_head, then its strings */
    FRAME_RENEW,     /* renewal: a later deadline */
    FRAME_SIGNAL,    /* mf__signal_order */
    FRAME_PING,      /* uint64_t */
    /* guard to host */
    FRAME_STARTED, /* mf__started */
    FRAME_ENDED,   /* mf__ended */
    FRAME_PONG,    /* uint64_t, as in the ping */
    FRAME_DENIED,  /* mf__denied */
    /* to the scribe */
    FRAME_LINE /* path of a file, empty for the event log, and the text; each with its NUL */
} mf__frame_type;

typedef struct mf__frame_head {
    uint32_t type;
    uint32_t size; /* of what follows */
} mf__frame_head;

/* A process is known by its slot, which the host chooses and uses again after FRAME_ENDED. */
typedef struct mf__start_head {
    int64_t deadline_us;
    uint64_t fence;
    uint32_t slot;
    uint32_t argument_count;
    /* Strings, each with its NUL: task id, path of the output file (empty: the host's stderr),
     * node, the arguments. */
} mf__start_head;

typedef struct mf__renewal {
    int64_t deadline_us;
    uint32_t slot;
} mf__renewal;

typedef struct mf__signal_order {
    uint32_t slot;
    int32_t number;
} mf__signal_order;

typedef struct mf__started {
    uint32_t slot;
    pid_t pid;
} mf__started;

/* A process of the command's runs as another user, and the guard may not kill it. */
typedef struct mf__denied {
    uint32_t slot;
    pid_t pid;
} mf__denied;

typedef enum mf__end_cause {
    END_OWN,      /* the process ended by itself, or by a signal that was asked for */
    END_DEADLINE, /* its lease ended: the guard killed it, or did not start it */
    END_FAILED,   /* it could not be started; `status` is the errno */
    END_GUARD,    /* the guard is gone, and with it the process */
    END_HOST      /* the host is gone: told to the event log alone */
} mf__end_cause;

typedef struct mf__ended {
    int64_t at_us;
    int64_t user_us, system_us; /* processor time of the process and the children it waited for */
    int64_t max_rss_kib;
    int64_t run_us;
    uint32_t slot;
    int32_t cause;  /* mf__end_cause */
    int32_t code;   /* CLD_EXITED, CLD_KILLED or CLD_DUMPED */
    int32_t status; /* exit status, signal number or errno */
} mf__ended;

/* Appends a frame. Returns 0, or -1 when memory is out. */
int mf__frame_add(struct evbuffer *out, mf__frame_type type, const void *payload, size_t size);

/* The next whole frame, to be drained with mf__frame_drain; 0 when there is none yet. The payload
 * is borrowed from the buffer, and not aligned. */
mf__frame_type mf__frame_peek(struct evbuffer *in, const void **payload, size_t *size);
void mf__frame_drain(struct evbuffer *in, size_t size);

/* "exit status 3", "signal 9 (Killed)", ... */
void mf__end_describe(const mf__ended *end, char *text, size_t size);

#endif
