/* What happened in a run. */
#include "history.h"

const char *history_node_name(int node)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

    return names[node % (int)(sizeof names / sizeof *names)];
}
