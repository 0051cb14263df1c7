/* The rules for the options of stateful handlers. */
#include "loop/thread.h"
#include "state/machine.h"

#define TEXT(number) #number
/* The limit is a macro's or a plain number. */
#define UP_TO(field, most)                                                            \
    {                                                                                 \
        o->field >= 0 && o->field <= (most), #field ": not between 0 and " TEXT(most) \
    }

/* A hundred years, so that the end of a sleep can be written. */
#define MOST_MS 3155760000000
#define MOST_PAUSE_MS 86400000

static const char *number_fault(const mf_state_options *o)
{
    const struct {
        bool is_good;
        const char *fault;
    } rules[] = {
        UP_TO(max_errors, MF_STATE_MOST_ERRORS),
        UP_TO(error_window_ms, MOST_MS),
        UP_TO(retry_ms, MOST_MS),
        UP_TO(release_pause_ms, MOST_PAUSE_MS),
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!rules[i].is_good)
            return rules[i].fault;
    return NULL;
}

const char *mf__state_options_fault(const mf_state_options *o)
{
    bool blocking = o->run != NULL && o->start == NULL && o->on_message == NULL;
    bool evented = o->run == NULL && o->start != NULL && o->on_message != NULL;

    if (o->version != MF_STATE_OPTIONS_VERSION)
        return "version: is not known";
    if (!blocking && !evented)
        return "needs either run, or both start and on_message";
    if (!mf__thread_stack_size_is_valid(o->stack_size))
        return MF_STACK_SIZE_RULE;
    return number_fault(o);
}
