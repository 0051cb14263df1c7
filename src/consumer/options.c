/* The options of a consumer: defaults, and the rules for them. */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "consumer/internal.h"
#include "loop/thread.h"

enum { lease_default_ms = 15000, lease_least_ms = 2000, lease_most_ms = 3600000 };
enum { balance_default_ms = 15000, reconcile_default_ms = 10000, reclaim_default_ms = 2000 };
enum { offers_default = 200000, restart_grace_default_ms = 60000 };
enum { memory_most = 1 << 20 };

/* The whole numbers of the options, in the order in which they are checked. */
typedef struct range {
    const char *field;
    size_t offset;
    int least, most;
} range;

#define RANGE(field, least, most)                                 \
    {                                                             \
#field, offsetof(mf_consumer_options, field), least, most \
    }

static const range ranges[] = {
    RANGE(lease_ms, lease_least_ms, lease_most_ms),
    RANGE(balance_interval_ms, 1, INT32_MAX),
    RANGE(reconcile_interval_ms, 1, INT32_MAX),
    RANGE(reclaim_delay_ms, 1, INT32_MAX),
    RANGE(max_offers, 1, INT32_MAX),
    RANGE(on_overrun, MF_OVERRUN_LOG, MF_OVERRUN_ABORT),
    RANGE(restart_grace_ms, 1, INT32_MAX),
    RANGE(max_moves, 0, INT32_MAX),
};

static int check_range(const char *field, int value, int least, int most, mf_error *error)
{
    if (value >= least && value <= most)
        return MF_OK;
    return mf_error_set(error, MF_EINVAL, "%s: %d is not between %d and %d", field, value, least,
                        most);
}

static int check_numbers(const mf_consumer_options *o, mf_error *error)
{
    if (!(o->weight >= 0.001 && o->weight <= 1000000))
        return mf_error_set(error, MF_EINVAL, "weight: %g is not between 0.001 and 1000000",
                            o->weight);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range *r = &ranges[i];
        int value;
        memcpy(&value, (const char *)o + r->offset, sizeof value);
        if (check_range(r->field, value, r->least, r->most, error) != MF_OK)
            return MF_EINVAL;
    }
    return check_range("stop_grace_ms", o->stop_grace_ms, 1, o->lease_ms / 2, error);
}

/* Of a handler or balancer that could not be made. */
static int refuse(const char *field, int code, const char *refusal, mf_error *error)
{
    return mf_error_set(error, code, "%s: %s", field,
                        refusal != NULL ? refusal : mf_strerror(code));
}

static int check_handler(const mf_handler *handler, mf_error *error)
{
    if (handler->version < 0)
        return refuse("handler", handler->version, handler->refusal, error);
    if (handler->version == 0 && handler->run == NULL && handler->start == NULL)
        return mf_error_set(error, MF_EINVAL, "handler: is required");
    if (handler->version != MF_HANDLER_VERSION)
        return mf_error_set(error, MF_EINVAL, "handler: version %d is not known", handler->version);
    bool evented = handler->start != NULL && handler->stop != NULL && handler->run == NULL;
    bool blocking = handler->start == NULL && handler->stop == NULL && handler->run != NULL;
    if (!evented && !blocking)
        return mf_error_set(error, MF_EINVAL, "handler: needs either run, or both start and stop");
    if (!mf__thread_stack_size_is_valid(handler->stack_size))
        return mf_error_set(error, MF_EINVAL, "handler: " MF_STACK_SIZE_RULE);
    if (handler->memory_size > memory_most)
        return mf_error_set(error, MF_EINVAL, "handler: memory_size: more than %d", memory_most);
    return MF_OK;
}

static int check_balancer(const mf_balancer *balancer, mf_error *error)
{
    if (balancer->version < 0)
        return refuse("balancer", balancer->version, balancer->refusal, error);
    if (balancer->version != MF_BALANCER_VERSION)
        return mf_error_set(error, MF_EINVAL, "balancer: version %d is not known",
                            balancer->version);
    if (balancer->can_claim == NULL)
        return mf_error_set(error, MF_EINVAL, "balancer: can_claim is missing");
    return MF_OK;
}

/* What a handle has of itself is not given beside it: one of the two would be ignored. */
static int check_handle(const mf_consumer_options *o, mf_error *error)
{
    const char *beside = o->broker != NULL       ? "broker"
                         : o->name_space != NULL ? "name_space"
                         : o->drivers != NULL    ? "drivers"
                                                 : NULL;

    if (beside != NULL)
        return mf_error_set(error, MF_EINVAL, "%s: not beside broker_handle, which has its own",
                            beside);
    if (o->broker_handle->loop != o->loop)
        return mf_error_set(error, MF_EINVAL, "broker_handle: runs on another loop");
    return MF_OK;
}

static int check_broker(const mf_consumer_options *o, mf_error *error)
{
    const char *other = o->broker_options.name_space;

    if (o->broker_handle != NULL)
        return check_handle(o, error);
    if (other != NULL && strcmp(o->name_space, other) != 0)
        return mf_error_set(error, MF_EINVAL,
                            "name_space: '%.64s', but that of broker_options is '%.64s'",
                            o->name_space, other);
    return MF_OK;
}

static int check_place(const mf_consumer_options *o, mf_error *error)
{
    if (o->version != MF_CONSUMER_OPTIONS_VERSION)
        return mf_error_set(error, MF_EINVAL, "options: version %d is not known", o->version);
    if (o->loop == NULL)
        return mf_error_set(error, MF_EINVAL, "loop: is required");
    if (check_broker(o, error) != MF_OK)
        return MF_EINVAL;
    return o->name != NULL ? mf_check_name("name", o->name, error) : MF_OK;
}

void mf__options_fill_in(mf_consumer_options *o)
{
    if (o->lease_ms == 0)
        o->lease_ms = lease_default_ms;
    if (o->stop_grace_ms == 0)
        o->stop_grace_ms = o->lease_ms / 4;
    if (o->balance_interval_ms == 0)
        o->balance_interval_ms = balance_default_ms;
    if (o->reconcile_interval_ms == 0)
        o->reconcile_interval_ms = reconcile_default_ms;
    if (o->reclaim_delay_ms == 0)
        o->reclaim_delay_ms = reclaim_default_ms;
    if (o->max_offers == 0)
        o->max_offers = offers_default;
    if (o->restart_grace_ms == 0)
        o->restart_grace_ms = restart_grace_default_ms;
    if (o->weight == 0)
        o->weight = 1;
    if (o->name_space == NULL)
        o->name_space = o->broker_options.name_space;
    if (o->balancer.version == 0 && o->balancer.can_claim == NULL)
        o->balancer = mf_balancer_fair(1.2);
}

int mf__options_check(const mf_consumer_options *o, mf_error *error)
{
    int code = check_handler(&o->handler, error);

    if (code == MF_OK)
        code = check_balancer(&o->balancer, error);
    if (code == MF_OK)
        code = check_place(o, error);
    if (code == MF_OK)
        code = check_numbers(o, error);
    return code;
}

void mf__options_free_taken(const mf_consumer_options *o)
{
    if (o->handler.free != NULL)
        o->handler.free(o->handler.payload);
    if (o->balancer.free != NULL)
        o->balancer.free(o->balancer.payload);
}

/* Host names may hold what a node name may not. */
char *mf__options_default_name(mf_loop *loop)
{
    char host[65] = "";
    char *name = NULL;

    gethostname(host, sizeof host - 1);
    for (char *c = host; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
            *c = '-';
    if (asprintf(&name, "%s-%08x", host[0] != '\0' ? host : "node",
                 (unsigned)mf_loop_random(loop)) < 0)
        return NULL;
    return name;
}
