/* What the built-in balancers share. */
#ifndef MF_BALANCER_BALANCER_H
#define MF_BALANCER_BALANCER_H

#include <metafora/balancer.h>
#include <metafora/error.h>

/* A balancer that could not be made has the error code (negative) as its version, and no slots;
 * mf_consumer_open refuses it with that code, and with the text unless it is NULL. */
static inline mf_balancer mf__balancer_failed(int code, const char *refusal)
{
    return (mf_balancer){.version = code, .refusal = refusal};
}

#endif
