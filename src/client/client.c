/* The client: sends the work of its calls, again where an answer was lost. */
#include "client/internal.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include <utlist.h>

#include "executed.h"
#include "loop/loop.h"

enum { TICK_US = 200000 };

static void pump(mf_client *client);

int mf__client_no_memory(mf_error *error)
{
    return mf_error_set(error, MF_ENOMEM, "client: %s", mf_strerror(MF_ENOMEM));
}

/* Calls. */

static bool waited_calls_left(const mf_client *client)
{
    return client->calls != NULL && client->calls->serial <= client->waited_serial;
}

static void give_up_work(mf_call *call)
{
    for (size_t i = 0; i < call->work_count; i++) {
        mf_work *work = &call->works[i];
        if (work->state == MF_WORK_READY)
            DL_DELETE(call->client->ready, work);
        else if (work->state == MF_WORK_PARKED)
            DL_DELETE(call->client->parked, work);
        else
            continue;
        work->state = MF_WORK_IDLE;
        call->left--;
        if (call->kind->given_up != NULL)
            call->kind->given_up(work, work->unknown && call->error.code != MF_EUNCONFIRMED
                                           ? MF_EUNKNOWN
                                           : call->error.code);
    }
}

static void call_back(mf_client *client, mf_call *call)
{
    const mf_error *error = call->error.code != MF_OK ? &call->error : NULL;

    if (error != NULL && client->first_error.code == MF_OK)
        client->first_error = *error;
    client->callbacks++;
    call->kind->finish(call, error);
    client->callbacks--;
}

/* When nothing is left to do for the call, it ends soon: not here, so that what the user does in
 * the callback meets no function of the client half way. */
static void settle(mf_client *client, mf_call *call)
{
    if (call->left != 0 || call->finished)
        return;
    call->finished = true;
    *client->finished_end = call;
    client->finished_end = &call->next_finished;
    mf_defer(client->broker->loop, &client->finish);
}

/* Those that have ended by now: what the callbacks start may end at once, and waits for the next
 * time, so that the loop goes on. */
static mf_call *take_finished(mf_client *client)
{
    mf_call *first = client->finished;

    client->finished = NULL;
    client->finished_end = &client->finished;
    return first;
}

static void finish(void *arg)
{
    mf_client *client = arg;
    mf_call *call = take_finished(client);

    while (call != NULL) {
        mf_call *next = call->next_finished;
        DL_DELETE(client->calls, call);
        call_back(client, call);
        free(call);
        call = next;
    }
    if (client->waited_serial != 0 && !waited_calls_left(client))
        mf_loop_stop(client->broker->loop);
}

/* The call will fail; what is under way comes back first. EUNREACHABLE promises that nothing was
 * executed, so one lost answer among the works makes the whole EUNKNOWN. */
static void fail_call(mf_call *call, const mf_error *why)
{
    bool unknown = false;

    for (size_t i = 0; i < call->work_count; i++)
        unknown |= call->works[i].state != MF_WORK_IDLE && call->works[i].unknown;
    if (call->error.code == MF_OK) {
        call->error = *why;
        if (unknown && mf_error_is_transient(why->code) && why->code != MF_EUNCONFIRMED)
            mf_error_set(&call->error, MF_EUNKNOWN, "reply lost and not resolved: %.200s",
                         why->text);
    }
    give_up_work(call);
    settle(call->client, call);
}

/* Work. */

static void done(mf_request *request);

static void make_token(mf_loop *loop, char *token)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i += 16) {
        uint64_t bits = mf_loop_random(loop);
        for (int j = 0; j < 16; j++, bits >>= 4)
            token[i + j] = digits[bits & 15];
    }
    token[32] = '\0';
}

static void start(mf_client *client, mf_work *work)
{
    mf_request *request = &work->request.head;

    if (work->first_sent_us == 0) {
        work->first_sent_us = mf_loop_now_us(client->broker->loop);
        make_token(client->broker->loop, work->token);
    }
    *request = (mf_request){.done = done, .arg = work};
    work->state = MF_WORK_UNDER_WAY;
    work->call->under_way++;
    client->under_way++;
    work->call->kind->send(client->broker, work);
}

/* A submit that was lost so long ago that the broker may have forgotten its token, as after a pause
 * of this process, could run a task twice when it is repeated. */
static bool is_too_late(const mf_client *client, const mf_work *work)
{
    return work->unknown && work->call->kind->has_token &&
           mf_loop_now_us(client->broker->loop) - work->first_sent_us > MF_CLIENT_TOKEN_US;
}

static void pump(mf_client *client)
{
    while (client->ready != NULL && client->under_way < MF_CLIENT_REQUESTS) {
        mf_work *work = client->ready;
        mf_call *call = work->call;
        if (is_too_late(client, work)) {
            fail_call(call, &call->failure);
            continue;
        }
        DL_DELETE(client->ready, work);
        start(client, work);
    }
}

static void make_ready(mf_client *client, mf_work *work)
{
    work->state = MF_WORK_READY;
    DL_APPEND(client->ready, work);
}

static void retry_parked(mf_client *client)
{
    while (client->parked != NULL) {
        mf_work *work = client->parked;
        DL_DELETE(client->parked, work);
        make_ready(client, work);
    }
    pump(client);
}

static bool has_expired(const mf_client *client, const mf_call *call)
{
    int64_t since = call->failing_since_us;
    return since != 0 && mf_loop_now_us(client->broker->loop) - since >= MF_CLIENT_LIMIT_US;
}

static void fail_expired(mf_client *client)
{
    mf_call *call;

    DL_FOREACH(client->calls, call)
    {
        if (has_expired(client, call))
            fail_call(call, &call->failure);
    }
}

static int start_tick(mf_client *client)
{
    mf_loop *loop = client->broker->loop;
    int64_t jitter_us = (int64_t)(mf_loop_random(loop) % TICK_US);
    return mf_timer_start(loop, &client->tick, mf_loop_now_us(loop) + TICK_US + jitter_us);
}

static void tick(void *arg)
{
    mf_client *client = arg;

    fail_expired(client);
    bool timed = client->parked == NULL || start_tick(client) == MF_OK;
    if (client->link_up || !timed)
        retry_parked(client);
}

/* Sets the work aside until it may be sent again; false: it is not to be. */
static bool park(mf_client *client, mf_work *work, const mf_error *why)
{
    mf_call *call = work->call;
    bool lost = mf__may_be_executed(why->code) || why->code == MF_ESTALE;

    if (mf__may_be_executed(why->code))
        work->unknown = client->was_up = true;
    if (!lost && (why->code != MF_EUNREACHABLE || !client->was_up))
        return false;
    if (call->failing_since_us == 0)
        call->failing_since_us = mf_loop_now_us(client->broker->loop);
    call->failure = *why;
    if (has_expired(client, call) || call->error.code != MF_OK)
        return false;
    if (client->tick.heap_slot == 0 && start_tick(client) != MF_OK)
        return false;
    work->state = MF_WORK_PARKED;
    DL_APPEND(client->parked, work);
    return true;
}

static void answered(mf_client *client, mf_work *work)
{
    mf_call *call = work->call;

    call->failing_since_us = 0;
    client->callbacks++;
    bool more = call->kind->answered(work);
    client->callbacks--;
    work->unknown = false;
    work->first_sent_us = 0;
    if (more)
        make_ready(client, work);
    else
        call->left--;
}

static void failed(mf_client *client, mf_work *work)
{
    mf_call *call = work->call;
    const mf_error *why = &work->request.head.error;

    if (park(client, work, why))
        return;
    make_ready(client, work); /* to be given up with the others */
    fail_call(call, why);
}

static void done(mf_request *request)
{
    mf_work *work = request->arg;
    mf_call *call = work->call;
    mf_client *client = call->client;

    assert(work->state == MF_WORK_UNDER_WAY);
    work->state = MF_WORK_IDLE;
    call->under_way--;
    if (client == NULL) {
        if (call->under_way == 0)
            free(call);
        return;
    }
    client->under_way--;
    if (request->error.code == MF_OK) {
        client->was_up = true;
        answered(client, work);
    } else {
        failed(client, work);
    }
    settle(client, call);
    pump(client);
}

void mf__client_start(mf_client *client, mf_call *call, const mf_call_kind *kind)
{
    call->kind = kind;
    call->client = client;
    call->serial = ++client->serial;
    call->left = call->work_count;
    DL_APPEND(client->calls, call);
    for (size_t i = 0; i < call->work_count; i++) {
        call->works[i].call = call;
        make_ready(client, &call->works[i]);
    }
    settle(client, call);
    pump(client);
}

/* The watcher: only the link matters here. */

static void on_link(mf_watcher *watcher, bool up, const mf_error *why)
{
    mf_client *client = (mf_client *)((char *)watcher - offsetof(mf_client, watcher));

    (void)why;
    client->link_up = up;
    client->was_up |= up;
    if (up)
        retry_parked(client);
}

int mf_client_open(mf_client **out, mf_broker *broker, mf_error *error)
{
    *out = NULL;
    if (broker == NULL)
        return mf_error_set(error, MF_EINVAL, "broker: missing");
    mf_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return mf__client_no_memory(error);
    client->broker = broker;
    client->watcher = (mf_watcher){
        .link = on_link,
    };
    client->finished_end = &client->finished;
    mf_timer_init(&client->tick, tick, client);
    mf_deferred_init(&client->finish, finish, client);
    broker->operations->watch(broker, &client->watcher);
    *out = client;
    return MF_OK;
}

/* Work under way may have been executed; its results are the driver's until it comes back. */
static void abandon(mf_client *client, mf_call *call)
{
    if (!call->finished)
        mf_error_set(&call->error, MF_ECLOSED, "client: closed before the answer came");
    give_up_work(call);
    for (size_t i = 0; i < call->work_count && call->kind->given_up != NULL; i++)
        if (call->works[i].state == MF_WORK_UNDER_WAY)
            call->kind->given_up(&call->works[i], MF_EUNKNOWN);
    call_back(client, call);
    call->client = NULL;
    if (call->under_way == 0)
        free(call);
}

void mf_client_close(mf_client *client)
{
    if (client == NULL)
        return;
    assert(client->callbacks == 0 && client->waited_serial == 0);
    client->broker->operations->unwatch(client->broker, &client->watcher);
    while (client->calls != NULL) {
        mf_call *call = client->calls;
        DL_DELETE(client->calls, call);
        abandon(client, call);
    }
    mf_timer_stop(client->broker->loop, &client->tick);
    mf_deferred_cancel(client->broker->loop, &client->finish);
    free(client);
}

/* MF_EINVAL: the loop runs already. */
static int run_until_called_back(mf_client *client)
{
    int code = MF_OK;

    if (client->callbacks != 0 || client->waited_serial != 0 ||
        mf__loop_is_running(client->broker->loop))
        return MF_EINVAL;
    client->waited_serial = client->serial;
    while (code == MF_OK && waited_calls_left(client))
        code = mf__loop_run(client->broker->loop);
    client->waited_serial = 0;
    return code;
}

int mf_client_wait(mf_client *client, const mf_error **error)
{
    if (run_until_called_back(client) == MF_OK) {
        client->shown_error = client->first_error;
        client->first_error = (mf_error){0};
    } else {
        mf_error_set(&client->shown_error, MF_EINVAL,
                     "client: wait: the loop runs already: not in a callback or a handler");
    }
    if (error != NULL)
        *error = &client->shown_error;
    return client->shown_error.code;
}
