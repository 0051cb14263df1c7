/* The faults that there are. */
#include "fault.h"

#include <string.h>

static const fault_description descriptions[FAULT_KINDS] = {
    [NODE_KILL] = {"kill", "the node is killed, and started again later", AT_NODE, 5, 200},
    [NODE_FREEZE] = {"freeze", "the node is stopped by SIGSTOP for a while", AT_NODE, 10, 250},
    [NODE_TERMINATE] = {"terminate", "the node gets SIGTERM, and is started again", AT_NODE, 20,
                        150},
    [LINK_CUT] = {"cut", "the node's connections are reset", AT_LINK, 0, 0},
    [LINK_REFUSE] = {"refuse", "they are reset, and new ones refused", AT_LINK, 5, 200},
    [LINK_SILENT] = {"silent", "nothing passes in either direction", AT_LINK, 10, 250},
    [LINK_DEAF] = {"deaf", "the node's requests pass, no reply does", AT_LINK, 10, 200},
    [LINK_MUTE] = {"mute", "the node's requests are lost", AT_LINK, 10, 200},
    [LINK_SLOW] = {"slow", "all bytes come later", AT_LINK, 20, 250},
    [LINK_LATE] = {"late", "all bytes are held up, and come in the end", AT_LINK, 10, 250},
    [SERVER_PAUSE] = {"pause", "the server is stopped by SIGSTOP for a while", AT_SERVER, 5, 200},
    [SERVER_KILL] = {"server-kill", "the server is killed, and started again later", AT_SERVER, 2,
                     150},
    [SERVER_STOP] = {"server-stop", "the server gets SIGTERM, and is started again later",
                     AT_SERVER, 2, 150},
    [SERVER_MEMORY] = {"memory", "the server is out of memory", AT_SERVER, 10, 250},
    [SERVER_NO_WRITES] = {"no-writes", "the server refuses writes", AT_SERVER, 10, 250},
    [SERVER_SCRIPTS] = {"scripts", "the server forgets its scripts", AT_SERVER, 0, 0},
    [SERVER_CLIENTS] = {"clients", "the server cuts off all clients", AT_SERVER, 0, 0},
    [SERVER_SUBSCRIBERS] = {"subscribers", "the server cuts off who has subscribed", AT_SERVER, 0,
                            0},
    [SERVER_COMPACT] = {"compact", "the server's history is compacted", AT_SERVER, 0, 0},
    [SERVER_SPACE] = {"space", "the server has no space left", AT_SERVER, 20, 200},
    [SERVER_LOSS] = {"loss", "the server is killed in the end, and comes back as it was before",
                     AT_SERVER, 2, 120},
    [SERVER_FAILOVER] = {"failover", "a replica takes the master's place", AT_SERVER, 0, 0},
    [SERVER_RESHARD] = {"reshard", "the namespace's slot moves to another master", AT_SERVER, 0, 0},
};

const fault_description *fault_describe(fault_kind kind)
{
    return &descriptions[kind];
}

fault_kind fault_by_name(const char *name)
{
    int kind = 0;

    while (kind < FAULT_KINDS && strcmp(descriptions[kind].name, name) != 0)
        kind++;
    return (fault_kind)kind;
}

fault_set fault_set_of_nodes(void)
{
    fault_set set = 0;

    for (int kind = 0; kind < FAULT_KINDS; kind++)
        if (descriptions[kind].place != AT_SERVER)
            set |= FAULT(kind);
    return set;
}
