/* After an error: how long a task sleeps before it is tried again, or that it fails. */
#include <stdlib.h>
#include <string.h>

#include "state/document.h"
#include "state/machine.h"

enum { max_errors_default = 8 };

static const int64_t window_default_ms = INT64_C(4) * 3600 * 1000;
static const int64_t retry_default_ms = INT64_C(600) * 1000;

/* Each byte of a text may take six in JSON. */
_Static_assert(MF_STATE_MOST_ERRORS *(6 * sizeof(((mf_message *)0)->error) + 2 * MF_TIME_SIZE) <
                   MF_STATE_MAX_BYTES,
               "a state with the most errors can be read again");

static void keep_newest(mf_state *state, size_t keep)
{
    size_t drop = keep < state->error_count ? state->error_count - keep : 0;

    for (size_t i = 0; i < drop; i++)
        free((char *)state->errors[i].text);
    state->error_count -= drop;
    memmove(state->errors, state->errors + drop, state->error_count * sizeof *state->errors);
}

/* Errors are in the order of their times, unless a clock was set back. */
static size_t count_recent(const mf_state *state, int64_t since_us)
{
    size_t count = 0;

    while (count < state->error_count) {
        const mf_state_error *e = &state->errors[state->error_count - 1 - count];
        if (mf_time_to_wall_us(&e->timestamp) < since_us)
            break;
        count++;
    }
    return count;
}

static mf_message decide(const mf_state_options *o, const mf_state *state, int64_t wall_us,
                         size_t *keep)
{
    size_t max_errors = o->max_errors != 0 ? (size_t)o->max_errors : max_errors_default;
    int64_t window_ms = o->error_window_ms != 0 ? o->error_window_ms : window_default_ms;
    int64_t retry_ms = o->retry_ms != 0 ? o->retry_ms : retry_default_ms;

    *keep = count_recent(state, wall_us - window_ms * 1000);
    if (*keep >= max_errors)
        return mf_message_error("%zu errors in %lld minutes: failed", *keep,
                                (long long)(window_ms / 60000));
    return mf_message_sleep_until(wall_us + retry_ms * 1000);
}

static mf_message ask(mf__machine *me, const mf_state_options *options)
{
    mf_loop *loop = mf__machine_task(me)->consumer->loop;
    size_t keep = me->state.error_count;
    mf_message message;

    if (options->on_error != NULL)
        message = options->on_error(mf__machine_task(me), &me->state, &keep, options->payload);
    else
        message = decide(options, &me->state, mf_loop_wall_us(loop), &keep);
    keep_newest(&me->state, keep < MF_STATE_MOST_ERRORS ? keep : MF_STATE_MOST_ERRORS);
    return message;
}

int mf__errors_settle(mf__machine *me, const mf_state_options *options, const mf_time *now)
{
    mf_message decision = ask(me, options);
    mf_error why;
    int code = mf_state_apply(&me->state, &decision, now, &why);

    if (code != MF_EINVAL)
        return code;
    decision = mf_message_error("the error handler returned %s: %s", mf_message_text(decision.code),
                                why.text);
    mf_log(mf__machine_task(me)->consumer->loop, MF_LOG_ERROR, "state", "task %s: %s: failed",
           mf_task_id(mf__machine_task(me)), decision.error);
    return mf_state_apply(&me->state, &decision, now, NULL);
}
