/* What an error says of the request that met it. */
#ifndef MF_EXECUTED_H
#define MF_EXECUTED_H

#include <metafora/error.h>

/* It may have been executed, or has been. */
static inline bool mf__may_be_executed(int code)
{
    return code == MF_EUNKNOWN || code == MF_EUNCONFIRMED;
}

#endif
