/* The synchronous client: a thread with a loop, and callers that wait for it. */
#include <stdlib.h>

#include <metafora/driver.h>

#include "loop/thread.h"
#include "sync/internal.h"

enum { TIMEOUT_DEFAULT_MS = 30000, STACK_SIZE = 1 << 20 };

/* Lives until both threads have left it: the client may bring its answer when the caller has gone.
 */
typedef struct call {
    mf_sync *sync;
    const mf__question *question;
    mf_posted post;
    bool asked; /* the client was */
    bool ended; /* and nothing more will come */
    bool left;  /* the caller waits no more */
    bool shown; /* there is a page, and the loop's thread waits until it has been shown */
    const void *records;
    size_t count;
    bool last;
    mf_error error;
} call;

/* Whose callback this thread is in. */
static _Thread_local const mf_sync *showing;

static bool may_wait(const mf_sync *sync)
{
    return showing != sync && !mf__loop_is_here();
}

/* On the loop's thread. */

static void end(call *c, const mf_error *error)
{
    if (error != NULL)
        c->error = *error;
    c->ended = true;
    if (c->left)
        free(c);
    else
        pthread_cond_broadcast(&c->sync->changed);
}

void mf__sync_on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    call *c = arg;
    mf_sync *sync = c->sync;

    pthread_mutex_lock(&sync->lock);
    if (!c->left && c->question->results != NULL)
        for (size_t i = 0; i < count; i++)
            c->question->results[i].code = items[i].code;
    end(c, error);
    pthread_mutex_unlock(&sync->lock);
}

/* Waits while it is shown: what it points to is the client's. */
static void show(call *c, const void *records, size_t count, bool last)
{
    c->records = records;
    c->count = count;
    c->last = last;
    c->shown = true;
    pthread_cond_broadcast(&c->sync->changed);
    while (c->shown)
        pthread_cond_wait(&c->sync->changed, &c->sync->lock);
}

void mf__sync_on_page(const mf_error *error, const void *records, size_t count, bool last,
                      void *arg)
{
    call *c = arg;
    mf_sync *sync = c->sync;

    pthread_mutex_lock(&sync->lock);
    if (error == NULL && !c->left && c->question->show != NULL)
        show(c, records, count, last);
    if (error != NULL || last)
        end(c, error);
    pthread_mutex_unlock(&sync->lock);
}

static void ask(void *arg)
{
    call *c = arg;
    mf_sync *sync = c->sync;
    mf_error error;

    pthread_mutex_lock(&sync->lock);
    if (c->left) {
        free(c);
    } else {
        c->asked = true;
        if (c->question->ask(sync->client, c->question, c, &error) != MF_OK)
            end(c, &error);
    }
    pthread_mutex_unlock(&sync->lock);
}

/* On the caller's. */

static void show_page(mf_sync *sync, call *c)
{
    const mf_sync *before = showing;

    pthread_mutex_unlock(&sync->lock);
    showing = sync;
    c->question->show(c->question, c->records, c->count, c->last);
    showing = before;
    pthread_mutex_lock(&sync->lock);
    c->shown = false;
    pthread_cond_broadcast(&sync->changed);
}

/* Why the caller waits no longer; NULL: it has its answer. */
static const char *wait_for(mf_sync *sync, call *c, int timeout_ms)
{
    int64_t until_us =
        timeout_ms < 0 ? INT64_MAX : mf_loop_now_us(sync->loop) + timeout_ms * INT64_C(1000);
    uint64_t cancelled = sync->cancelled;

    for (;;) {
        int64_t left_us = until_us - mf_loop_now_us(sync->loop);
        if (c->shown)
            show_page(sync, c);
        else if (c->ended)
            return NULL;
        else if (sync->cancelled != cancelled)
            return "cancelled";
        else if (left_us <= 0)
            return "its time is over";
        else
            mf__condition_wait(&sync->changed, &sync->lock, left_us);
    }
}

static int leave(call *c, const char *why, mf_error *error)
{
    if (why == NULL) {
        mf_error result = c->error;
        free(c);
        if (result.code != MF_OK && error != NULL)
            *error = result;
        return result.code;
    }
    c->left = true;
    return mf_error_set(error, c->asked ? MF_EUNKNOWN : MF_EUNREACHABLE, "sync: %s, %s", why,
                        c->asked ? "before the answer came" : "and nothing was asked yet");
}

static int check_call(const mf_sync *sync, int timeout_ms, mf_error *error)
{
    if (sync == NULL)
        return mf_error_set(error, MF_EINVAL, "sync: missing");
    if (timeout_ms < -1)
        return mf_error_set(error, MF_EINVAL, "timeout_ms: %d is less than -1", timeout_ms);
    if (!may_wait(sync))
        return mf_error_set(error, MF_EINVAL,
                            "sync: cannot wait in a callback, nor on a thread that runs a loop");
    return MF_OK;
}

int mf__sync_call(mf_sync *sync, const mf__question *question, int timeout_ms, mf_error *error)
{
    int code = check_call(sync, timeout_ms, error);

    if (code != MF_OK)
        return code;
    call *c = calloc(1, sizeof *c);
    if (c == NULL)
        return mf_error_set(error, MF_ENOMEM, "sync: out of memory");
    c->sync = sync;
    c->question = question;
    pthread_mutex_lock(&sync->lock);
    sync->calls++;
    mf__loop_post_embedded(sync->loop, &c->post, ask, c);
    const char *why = wait_for(sync, c, timeout_ms != 0 ? timeout_ms : sync->timeout_ms);
    code = leave(c, why, error);
    sync->calls--;
    pthread_cond_broadcast(&sync->changed);
    pthread_mutex_unlock(&sync->lock);
    return code;
}

void mf_sync_cancel(mf_sync *sync)
{
    if (sync == NULL)
        return;
    pthread_mutex_lock(&sync->lock);
    sync->cancelled++;
    pthread_cond_broadcast(&sync->changed);
    pthread_mutex_unlock(&sync->lock);
}

/* Its life. */

static void stop_loop(void *arg)
{
    mf_loop_stop(arg);
}

static void close_all(void *arg)
{
    mf_sync *sync = arg;

    mf_client_close(sync->client);
    mf_broker_close(sync->broker, stop_loop, sync->loop);
}

static void *run(void *arg)
{
    mf_loop_run(arg);
    return NULL;
}

static void free_sync(mf_sync *sync)
{
    mf_loop_free(sync->loop);
    pthread_cond_destroy(&sync->changed);
    pthread_mutex_destroy(&sync->lock);
    free(sync);
}

static mf_sync *make(const mf_sync_options *options)
{
    mf_sync *sync = calloc(1, sizeof *sync);

    if (sync == NULL)
        return NULL;
    sync->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    pthread_mutex_init(&sync->lock, NULL);
    mf__condition_init(&sync->changed);
    return sync;
}

static int open_broker(mf_sync *sync, const mf_sync_options *o, mf_error *error)
{
    mf_broker_options options = o->broker_options;

    if (options.version == 0)
        options.version = MF_BROKER_OPTIONS_VERSION;
    if (o->drivers != NULL)
        return mf_broker_open_any(&sync->broker, o->broker, &options, sync->loop, o->drivers,
                                  error);
    return mf_broker_open(&sync->broker, o->broker, &options, sync->loop, error);
}

/* From here on a failure has to run the loop, so that the broker closes. */
static int start(mf_sync *sync, mf_error *error)
{
    int code = mf_client_open(&sync->client, sync->broker, error);

    if (code == MF_OK && mf__thread_spawn(&sync->thread, STACK_SIZE, run, sync->loop) != MF_OK)
        code = mf_error_set(error, MF_ESYSTEM, "sync: no thread can be started");
    if (code != MF_OK) {
        close_all(sync);
        mf_loop_run(sync->loop);
    }
    return code;
}

static int open_parts(mf_sync *sync, const mf_sync_options *options, mf_error *error)
{
    int code = mf_loop_new(&sync->loop, error);

    if (code != MF_OK)
        return code;
    if (options->log != NULL)
        mf_loop_set_log(sync->loop, options->log, options->log_arg, MF_LOG_INFO);
    code = open_broker(sync, options, error);
    return code == MF_OK ? start(sync, error) : code;
}

static int check_options(const mf_sync_options *options, mf_error *error)
{
    if (options == NULL)
        return mf_error_set(error, MF_EINVAL, "options: missing");
    if (options->version != MF_SYNC_OPTIONS_VERSION)
        return mf_error_set(error, MF_EINVAL, "options: version %d is not known", options->version);
    if (options->timeout_ms < -1)
        return mf_error_set(error, MF_EINVAL, "timeout_ms: %d is less than -1",
                            options->timeout_ms);
    return MF_OK;
}

int mf_sync_open(mf_sync **out, const mf_sync_options *options, mf_error *error)
{
    int code = check_options(options, error);

    if (out == NULL)
        return mf_error_set(error, MF_EINVAL, "out: missing");
    *out = NULL;
    if (code != MF_OK)
        return code;
    mf_sync *sync = make(options);
    if (sync == NULL)
        return mf_error_set(error, MF_ENOMEM, "sync: out of memory");
    code = open_parts(sync, options, error);
    if (code == MF_OK)
        *out = sync;
    else
        free_sync(sync);
    return code;
}

int mf_sync_close(mf_sync *sync)
{
    if (sync == NULL)
        return MF_OK;
    if (!may_wait(sync))
        return MF_EINVAL;
    mf_sync_cancel(sync);
    pthread_mutex_lock(&sync->lock);
    while (sync->calls != 0)
        pthread_cond_wait(&sync->changed, &sync->lock);
    pthread_mutex_unlock(&sync->lock);
    mf__loop_post_embedded(sync->loop, &sync->end, close_all, sync);
    pthread_join(sync->thread, NULL);
    free_sync(sync);
    return MF_OK;
}
