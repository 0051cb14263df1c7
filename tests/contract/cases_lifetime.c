/* Handles: every request is answered once, and nothing is left behind. */
#include "contract.h"

#include <dirent.h>
#include <malloc.h>
/* Requests under way when the handle closes are answered once each (which the end of every case
 * checks), with a result or with a code that says that there is none. */
static void close_answers_what_is_under_way(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    call *calls[20];

    submit_many(p, "t", 20);
    mf_claim *claims = new_claims(c, "t", 20);
    for (size_t i = 0; i < 20; i++)
        calls[i] = start_claim(p, &claims[i], 1);
    peer_close(p);
    for (size_t i = 0; i < 20; i++) {
        int code = call_wait(calls[i]);
        assert_true(code == MF_OK || code == MF_EUNKNOWN || code == MF_ECLOSED ||
                    code == MF_EUNREACHABLE);
    }
}

/* A handle can be closed before it has connected, with requests that wait. */
static void close_before_connected(contract *c)
{
    peer *p = peer_opened(c, c->fixture->url(c->fixture), "a");

    call *one = start_join(p, false);
    assert_false(one->finished);
    peer_close(p);
    assert_true(call_wait(one) <= MF_OK);
}

typedef struct quitter {
    mf_watcher watcher;
    mf_broker *broker;
    contract *c;
    unsigned calls;
} quitter;

static void quit(mf_watcher *watcher)
{
    quitter *me = (quitter *)watcher;
    me->calls++;
    me->broker->operations->unwatch(me->broker, watcher);
    poke(me->c);
}

static void quit_on_link(mf_watcher *watcher, bool up, const mf_error *why)
{
    (void)up;
    (void)why;
    quit(watcher);
}

/* A watcher that is taken off inside its own callback is not called again, and others are. */
static void unwatch_inside_a_callback(contract *c)
{
    peer *p = peer_new(c, "a");
    quitter *me = keep(c, sizeof *me);

    *me = (quitter){.watcher = {.link = quit_on_link, .resync = quit}, .broker = p->broker, .c = c};
    p->broker->operations->watch(p->broker, &me->watcher);
    assert_int_equal(submit(p, "t"), MF_OK);
    assert_true(wait_heard(p, HEARD_CLAIMABLE, "t", REPLY_BOUND_MS));
    assert_int_equal(me->calls, 1);
}

static size_t open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

typedef struct cycle {
    contract *c;
    mf_loop *loop;
    mf_broker *broker;
    mf_send_request request;
} cycle;

static void on_cycle_closed(void *arg)
{
    mf_loop_stop(((cycle *)arg)->loop);
}

static void on_cycle_sent(mf_request *request)
{
    cycle *me = request->arg;
    mf_broker_close(me->broker, on_cycle_closed, me);
}

/* Opens a handle on a loop of its own, makes one request, closes. */
static void open_and_close(contract *c)
{
    cycle me = {.c = c};
    mf_broker_options options = contract_options(c);
    const mf_driver *const drivers[] = {c->fixture->driver, NULL};

    assert_int_equal(mf_loop_new(&me.loop, NULL), MF_OK);
    mf_loop_set_log(me.loop, NULL, NULL, MF_LOG_NONE);
    assert_int_equal(mf_broker_open_any(&me.broker, c->fixture->url(c->fixture), &options, me.loop,
                                        drivers, NULL),
                     MF_OK);
    me.request = (mf_send_request){
        .request = {.done = on_cycle_sent, .arg = &me}, .node = "n", .json = "{}", .length = 2};
    me.broker->operations->send(me.broker, &me.request);
    mf_loop_run(me.loop);
    assert_int_equal(me.request.request.error.code, MF_OK);
    mf_loop_free(me.loop);
}

/* Descriptors and memory are back where they were after 1,000 handles. */
static void open_and_close_1000_times(contract *c)
{
    for (int i = 0; i < 20; i++)
        open_and_close(c);
    size_t descriptors = open_descriptors();
    size_t bytes = mallinfo2().uordblks;
    for (int i = 0; i < 1000; i++)
        open_and_close(c);
    assert_int_equal(open_descriptors(), descriptors);
    size_t after = mallinfo2().uordblks;
    assert_true(after < bytes + 64 * 1024);
}

/* When nothing listens, waiting requests fail within the time to connect, and the watcher is told
 * why. */
static void unreachable_at_start_is_an_error(contract *c)
{
    peer *p = peer_opened(c, c->fixture->unreachable_url, "a");
    int64_t began_us = mf_loop_now_us(c->loop);
    call *one = start_join(p, false);
    assert_int_equal(call_wait(one), MF_EUNREACHABLE);
    assert_true(strlen(one->request.head.error.text) > 0);
    assert_true(mf_loop_now_us(c->loop) - began_us < 6000000);
    assert_int_equal(join(p), MF_EUNREACHABLE);
    assert_true(p->downs > 0);
    assert_int_equal(p->why_down, MF_EUNREACHABLE);
}

const contract_case lifetime_cases[] = {
    CASE(close_answers_what_is_under_way),
    CASE(close_before_connected),
    CASE(unwatch_inside_a_callback),
    CASE(open_and_close_1000_times),
    CASE_NEEDS(unreachable_at_start_is_an_error, NEEDS_SERVER),
    {0},
};
