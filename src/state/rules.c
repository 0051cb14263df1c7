/* The transition table: which message makes which state into which. */
#include <metafora/state.h>

#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

typedef struct rule {
    uint8_t from, message, to;
} rule;

#define RULE(from_, message_, to_)                              \
    {                                                           \
        MF_STATE_##from_, MF_MESSAGE_##message_, MF_STATE_##to_ \
    }

/* What is not here is no transition; from terminal states there is none. */
static const rule rules[] = {
    RULE(RUNNABLE, CHECKPOINT, RUNNABLE), RULE(RUNNABLE, RELEASE, RUNNABLE),
    RULE(RUNNABLE, SLEEP, SLEEPING),      RULE(RUNNABLE, COMPLETE, COMPLETED),
    RULE(RUNNABLE, KILL, KILLED),         RULE(RUNNABLE, ERROR, FAULT),
    RULE(RUNNABLE, PAUSE, PAUSED),

    RULE(SLEEPING, CHECKPOINT, SLEEPING), RULE(SLEEPING, RELEASE, SLEEPING),
    RULE(SLEEPING, SLEEP, SLEEPING),      RULE(SLEEPING, RUN, RUNNABLE),
    RULE(SLEEPING, KILL, KILLED),         RULE(SLEEPING, ERROR, FAULT),
    RULE(SLEEPING, PAUSE, PAUSED),

    RULE(FAULT, SLEEP, SLEEPING),         RULE(FAULT, ERROR, FAILED),

    RULE(PAUSED, CHECKPOINT, PAUSED),     RULE(PAUSED, RELEASE, PAUSED),
    RULE(PAUSED, SLEEP, SLEEPING),        RULE(PAUSED, RUN, RUNNABLE),
    RULE(PAUSED, KILL, KILLED),           RULE(PAUSED, PAUSE, PAUSED),
};

static const rule *find(mf_state_code from, mf_message_code message)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].from == (uint8_t)from && rules[i].message == (uint8_t)message)
            return &rules[i];
    return NULL;
}

static int add_error(mf_state *state, const mf_message *message, const mf_time *now)
{
    mf_state_error *errors =
        realloc(state->errors, (state->error_count + 1) * sizeof *state->errors);
    char *text = strdup(message->error[0] != '\0' ? message->error : "error without a text");

    if (errors != NULL)
        state->errors = errors;
    if (errors == NULL || text == NULL) {
        free(text);
        return MF_ENOMEM;
    }
    errors[state->error_count++] = (mf_state_error){.timestamp = *now, .text = text};
    return MF_OK;
}

static bool is_later(const mf_time *a, const mf_time *b)
{
    return a->seconds != b->seconds ? a->seconds > b->seconds : a->nanoseconds > b->nanoseconds;
}

static void set_until(mf_state *state, const mf_message *message)
{
    bool keeps = message->code == MF_MESSAGE_CHECKPOINT || message->code == MF_MESSAGE_RELEASE ||
                 (message->code == MF_MESSAGE_ERROR && state->code == MF_STATE_SLEEPING);
    bool interrupted = state->code == MF_STATE_FAULT && state->has_until;

    if (keeps || (message->code == MF_MESSAGE_SLEEP && interrupted &&
                  is_later(&state->until, &message->until)))
        return;
    state->has_until = message->has_until;
    state->until = message->has_until ? message->until : (mf_time){0};
}

/* That an error handler gives up is an error of its own only when it says why. */
static bool adds_error(const mf_state *state, const mf_message *message)
{
    return message->code == MF_MESSAGE_ERROR &&
           (state->code != MF_STATE_FAULT || message->error[0] != '\0');
}

/* A time that cannot be written would keep the state from being stored for ever. */
static int check_until(const mf_message *message, mf_error *error)
{
    char text[MF_TIME_SIZE];
    mf_error why;

    if (message->code == MF_MESSAGE_SLEEP && !message->has_until)
        return mf_error_set(error, MF_EINVAL, "until: missing in a sleep message");
    if (message->has_until && mf_time_format(text, &message->until, &why) != MF_OK)
        return mf_error_set(error, MF_EINVAL, "until: %s", why.text);
    return MF_OK;
}

int mf_state_apply(mf_state *state, const mf_message *message, const mf_time *now, mf_error *error)
{
    const rule *r = find(state->code, message->code);

    if (r == NULL)
        return mf_error_set(error, MF_EINVAL, "message: %s is not for a task that is %s",
                            mf_message_text(message->code), mf_state_text(state->code));
    if (check_until(message, error) != MF_OK)
        return MF_EINVAL;
    if (adds_error(state, message) && add_error(state, message, now) != MF_OK)
        return mf_error_set(error, MF_ENOMEM, "state: out of memory");
    set_until(state, message);
    state->code = (mf_state_code)r->to;
    return MF_OK;
}
