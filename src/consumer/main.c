/* mf_main: a whole program's life around one consumer. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "consumer/internal.h"

typedef struct program {
    mf_loop *loop;
    mf_consumer *consumer;
    const mf_consumer_options *options;
    int status;
    bool stopping;
} program;

static void complain(const char *who, const char *what)
{
    char name[512], text[1024];

    mf_escape(name, sizeof name, who);
    mf_escape(text, sizeof text, what);
    fprintf(stderr, "%s%s%s\n", name, *name != '\0' ? ": " : "", text);
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    program *me = payload;

    if (event == MF_CONSUMER_FAILED) {
        complain(mf_consumer_name(consumer), mf_consumer_error(consumer)->text);
        me->status = EXIT_FAILURE;
    }
    if (me->options->on_event != NULL)
        me->options->on_event(consumer, event, me->options->payload);
    if (event == MF_CONSUMER_CLOSED)
        mf_loop_stop(me->loop);
}

/* The first signal drains; whoever sends a second one does not want to wait. */
static void on_signal(void *arg)
{
    program *me = arg;

    if (me->stopping)
        _Exit(EXIT_FAILURE);
    me->stopping = true;
    mf_consumer_shutdown(me->consumer);
}

static void on_restart_signal(void *arg)
{
    program *me = arg;

    me->stopping = true;
    mf_consumer_shutdown_for_restart(me->consumer);
}

static int run(program *me, mf_error *error)
{
    mf_consumer_options options = *me->options;

    options.loop = me->loop;
    options.on_event = on_event;
    options.payload = me;
    int code = mf_consumer_open(&me->consumer, &options, error);
    if (code != MF_OK)
        return code;
    mf_loop_on_signal(me->loop, SIGINT, on_signal, me);
    mf_loop_on_signal(me->loop, SIGTERM, on_signal, me);
    mf_loop_on_signal(me->loop, SIGUSR1, on_restart_signal, me);
    mf_loop_run(me->loop);
    mf_loop_on_signal(me->loop, SIGINT, NULL, NULL);
    mf_loop_on_signal(me->loop, SIGTERM, NULL, NULL);
    mf_loop_on_signal(me->loop, SIGUSR1, NULL, NULL);
    mf_consumer_free(me->consumer);
    return MF_OK;
}

int mf_main(const mf_consumer_options *options)
{
    program me = {.loop = options->loop, .options = options};
    mf_error error;
    int code = MF_OK;

    if (me.loop == NULL)
        code = mf_loop_new(&me.loop, &error);
    if (code == MF_OK)
        code = run(&me, &error);
    else
        mf__options_free_taken(options);
    if (code != MF_OK) {
        complain("", error.text);
        me.status = EXIT_FAILURE;
    }
    if (options->loop == NULL)
        mf_loop_free(me.loop);
    return me.status;
}
