/* The faults that there are. */
#ifndef MF_CHAOS_FAULT_H
#define MF_CHAOS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* What a fault befalls. Of each node, each node's link and each server there is one at a time. */
typedef enum fault_place { AT_NODE, AT_LINK, AT_SERVER } fault_place;

typedef enum fault_kind {
    NODE_KILL,
    NODE_FREEZE,
    NODE_TERMINATE,
    LINK_CUT,
    LINK_REFUSE,
    LINK_SILENT,
    LINK_DEAF,
    LINK_MUTE,
    LINK_SLOW,
    LINK_LATE,
    SERVER_PAUSE,
    SERVER_KILL,
    SERVER_STOP,
    SERVER_MEMORY,
    SERVER_NO_WRITES,
    SERVER_SCRIPTS,
    SERVER_CLIENTS,
    SERVER_SUBSCRIBERS,
    SERVER_COMPACT,
    SERVER_SPACE,
    SERVER_LOSS,
    SERVER_FAILOVER,
    SERVER_RESHARD,
    FAULT_KINDS
} fault_kind;

typedef uint64_t fault_set; /* a bit for each kind */

#define FAULT(kind) ((fault_set)1 << (kind))

typedef struct fault_description {
    const char *name;
    const char *what;
    fault_place place;
    int least_percent, most_percent; /* how long it lasts, of the lease; 0: a moment */
} fault_description;

const fault_description *fault_describe(fault_kind kind);
/* FAULT_KINDS: there is none of that name. */
fault_kind fault_by_name(const char *name);

/* What befalls every broker's nodes. */
fault_set fault_set_of_nodes(void);

/* A fault to be: when, in ms from the beginning of the run, and where. */
typedef struct planned_fault {
    fault_kind kind;
    int target; /* number of the node, or of the server */
    int64_t from_ms, to_ms;
    uint32_t choice; /* a random number, for what the kind leaves open */
} planned_fault;

#endif
