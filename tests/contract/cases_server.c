/* Troubles of a broker that is a process: killed, stopped, its caches and hints lost, its records
 * changed by hand. */
#include "contract.h"

static void restart(contract *c)
{
    c->fixture->kill_server(c->fixture);
    c->fixture->start_server(c->fixture);
}

/* The link has been lost and is back; the session joins again. */
static void come_back(peer *p, unsigned downs)
{
    assert_true(wait_downs(p, downs + 1, REPLY_BOUND_MS));
    assert_true(wait_up(p, true, REPLY_BOUND_MS));
    assert_int_equal(join_again(p), MF_OK);
}

/* A broker that is killed and comes back has every task that it acknowledged, the claims with their
 * fences and the commands, and goes on with higher fences. */
static void restart_loses_nothing(contract *c)
{
    peer *a = peer_joined(c, "a", 30000), *b = peer_joined(c, "b", 30000);
    mf_claim *held = new_claim(c, "t0"), *next = new_claim(c, "t1");

    submit_many(a, "t", 100);
    assert_int_equal(claim(a, held), MF_OK);
    assert_int_equal(send_command(b, "a", "{}"), MF_OK);
    unsigned downs[] = {a->downs, b->downs};
    restart(c);
    come_back(a, downs[0]);
    come_back(b, downs[1]);
    assert_int_equal(count_tasks(b), 100);
    assert_int_equal(lookup(b, "t0")->fence, held->fence);
    assert_int_equal(claim(b, new_claim(c, "t0")), MF_ETAKEN);
    assert_int_equal(renew(a, held), MF_OK);
    assert_int_equal(claim(b, next), MF_OK);
    assert_true(next->fence > held->fence);
    call *one = start_receive(a, 0, 10);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(one->request.receive.count, 1);
}

/* Watchers are told of a restart, and hear hints again after it. */
static void hints_go_on_after_a_restart(contract *c)
{
    peer *a = peer_new(c, "a"), *b = peer_new(c, "b");
    unsigned resyncs = b->resyncs;

    restart(c);
    assert_true(wait_resyncs(b, resyncs + 1, REPLY_BOUND_MS));
    assert_true(wait_up(a, true, REPLY_BOUND_MS));
    int code = submit(a, "t");
    assert_true(code == MF_OK || code == MF_EUNREACHABLE || code == MF_EUNKNOWN);
    if (code != MF_OK) {
        assert_true(wait_up(a, false, REPLY_BOUND_MS));
        assert_true(wait_up(a, true, REPLY_BOUND_MS));
        assert_int_equal(submit(a, "t"), MF_OK);
    }
    assert_true(wait_heard(b, HEARD_CLAIMABLE, "t", REPLY_BOUND_MS));
}

/* A broker that is held up answers late, and what it lets through then still has one owner. */
static void held_up_server(contract *c)
{
    peer *a = peer_joined(c, "a", 30000), *b = peer_joined(c, "b", 30000);
    mf_claim *ours = new_claim(c, "t"), *theirs = new_claim(c, "t");

    submit(a, "t");
    c->fixture->pause_server(c->fixture, true);
    call *one = start_claim(a, ours, 1), *other = start_claim(b, theirs, 1);
    pass_time(c, 300);
    assert_false(one->finished || other->finished);
    c->fixture->pause_server(c->fixture, false);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(call_wait(other), MF_OK);
    assert_true((ours->result == MF_OK) != (theirs->result == MF_OK));
}

/* A broker that is held up for longer than the reply timeout is found to be unreachable, and used
 * again when it is back. */
static void server_that_stops_answering(contract *c)
{
    const char *url = keep_text(c, "%s?reply_timeout_ms=1000", c->fixture->url(c->fixture));
    peer *a = peer_ready(peer_opened(c, url, "a"));

    assert_int_equal(join(a), MF_OK);
    submit(a, "t");
    c->fixture->pause_server(c->fixture, true);
    int64_t began_us = mf_loop_now_us(c->loop);
    assert_int_equal(claim(a, new_claim(c, "t")), MF_EUNKNOWN);
    assert_true(mf_loop_now_us(c->loop) - began_us < 2000000);
    assert_true(wait_up(a, false, REPLY_BOUND_MS));
    c->fixture->pause_server(c->fixture, false);
    assert_true(wait_up(a, true, REPLY_BOUND_MS));
    assert_int_equal(join_again(a), MF_OK);
    assert_int_equal(claim(a, new_claim(c, "t")), MF_OK);
}

static void forget(contract *c)
{
    c->fixture->forget_scripts(c->fixture);
}

/* When the broker has forgotten the scripts, every operation still works. */
static void forgotten_scripts(contract *c)
{
    peer *a = peer_new(c, "a");
    mf_claim *t = new_claim(c, "t"), *u = new_claim(c, "u");

    forget(c);
    assert_int_equal(join(a), MF_OK);
    forget(c);
    assert_int_equal(submit(a, "t"), MF_OK);
    assert_int_equal(submit(a, "u"), MF_OK);
    forget(c);
    assert_int_equal(claim(a, t), MF_OK);
    assert_int_equal(claim(a, u), MF_OK);
    forget(c);
    assert_int_equal(renew(a, t), MF_OK);
    forget(c);
    assert_int_equal(release(a, t), MF_OK);
    forget(c);
    assert_int_equal(done(a, u), MF_OK);
    forget(c);
    assert_int_equal(remove_task(a, "t"), MF_OK);
    forget(c);
    assert_int_equal(send_command(a, "a", "{}"), MF_OK);
    forget(c);
    assert_int_equal(call_wait(start_receive(a, 0, 10)), MF_OK);
    forget(c);
    assert_int_equal(leave(a), MF_OK);
    forget(c);
    assert_int_equal(count_tasks(a), 0);
}

/* Scripts that are forgotten while many requests are under way change nothing. */
static void scripts_forgotten_under_way(contract *c)
{
    enum { COUNT = 200 };
    peer *a = peer_joined(c, "a", 30000);
    mf_claim *claims = new_claims(c, "t", COUNT);
    call *calls[COUNT];

    submit_many(a, "t", COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        calls[i] = start_claim(a, &claims[i], 1);
        if (i % 40 == 0)
            forget(c);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(call_wait(calls[i]), MF_OK);
        assert_int_equal(claims[i].result, MF_OK);
    }
}

/* When the hints' connections are killed while tasks are submitted, the watcher is told to read
 * again, and what it reads then is complete. */
static void killed_hints_are_followed_by_resync(contract *c)
{
    peer *a = peer_new(c, "a"), *b = peer_new(c, "b");
    unsigned resyncs = b->resyncs;

    submit_many(a, "before", 100);
    c->fixture->cut_hints(c->fixture);
    submit_many(a, "after", 100);
    assert_true(wait_resyncs(b, resyncs + 1, REPLY_BOUND_MS));
    assert_int_equal(count_claimable(b), 200);
    assert_int_equal(submit(a, "last"), MF_OK);
    assert_true(wait_heard(b, HEARD_CLAIMABLE, "last", REPLY_BOUND_MS));
}

/* An owner that was removed behind the library's back is told so by its next renewal. */
static void removed_owner_is_told(contract *c)
{
    peer *a = peer_joined(c, "a", 30000), *b = peer_joined(c, "b", 30000);
    mf_claim *t = new_claim(c, "t"), *next = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    c->fixture->remove_owner(c->fixture, c->name_space, "t");
    assert_int_equal(renew(a, t), MF_ELATE);
    assert_int_equal(done(a, t), MF_ELATE);
    assert_int_equal(claim(b, next), MF_OK);
    assert_true(next->fence > t->fence);
}

/* A broker that has lost everything, its counters too, still gives higher fences than before; the
 * owner finds that its session and claims are gone, and cannot end what it had. */
static void lost_data_gives_higher_fences(contract *c)
{
    peer *a = peer_joined(c, "a", 30000);
    mf_claim *before = new_claim(c, "t"), *after = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, before), MF_OK);
    c->fixture->forget_everything(c->fixture);
    assert_int_equal(call_wait(start_renew(a, before, 1)), MF_ENOSESSION);
    assert_int_equal(submit(a, "t"), MF_OK);
    assert_int_equal(join_again(a), MF_OK);
    assert_int_equal(done(a, before), MF_ELATE);
    assert_int_equal(claim(a, after), MF_OK);
    assert_true(after->fence > before->fence);
    assert_int_equal(done(a, before), MF_ELATE);
}

/* Asked to wait for a broker that is not there, a handle keeps requests until it is. */
static void requests_wait_for_the_broker(contract *c)
{
    c->fixture->kill_server(c->fixture);
    peer *a = peer_opened_waiting(c, c->fixture->url(c->fixture), "a");
    call *one = start_join(a, false), *other = start_tasks(a, "", 10);
    pass_time(c, 500);
    assert_false(one->finished || other->finished);
    c->fixture->start_server(c->fixture);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(call_wait(other), MF_OK);
    assert_int_equal(submit(a, "t"), MF_OK);
}

/* A damaged record is told as such, by name, and the tasks beside it can be claimed. */
static void damaged_record_is_set_aside(contract *c)
{
    peer *a = peer_joined(c, "a", 30000);
    mf_claim *claims = new_claims(c, "t", 3);

    submit_many(a, "t", 3);
    c->fixture->damage_task(c->fixture, c->name_space, "t1");
    assert_int_equal(call_wait(start_claim(a, claims, 3)), MF_OK);
    assert_int_equal(claims[0].result, MF_OK);
    assert_int_equal(claims[1].result, MF_EDAMAGED);
    assert_int_equal(claims[2].result, MF_OK);
    assert_int_equal(lookup(a, "t1")->code, MF_EDAMAGED);
    assert_int_equal(count_tasks(a), 3);
    assert_int_equal(remove_task(a, "t1"), MF_OK);
    assert_int_equal(count_tasks(a), 2);
}

const contract_case server_cases[] = {
    CASE_NEEDS(restart_loses_nothing, NEEDS_SERVER | NEEDS_PERSISTENCE),
    CASE_NEEDS(hints_go_on_after_a_restart, NEEDS_SERVER),
    CASE_NEEDS(held_up_server, NEEDS_SERVER),
    CASE_NEEDS(server_that_stops_answering, NEEDS_SERVER),
    CASE_NEEDS(forgotten_scripts, NEEDS_SCRIPTS),
    CASE_NEEDS(scripts_forgotten_under_way, NEEDS_SCRIPTS),
    CASE_NEEDS(killed_hints_are_followed_by_resync, NEEDS_HINT_CUT),
    CASE_NEEDS(removed_owner_is_told, NEEDS_TAMPER),
    CASE_NEEDS(lost_data_gives_higher_fences, NEEDS_TAMPER),
    CASE_NEEDS(requests_wait_for_the_broker, NEEDS_SERVER),
    CASE_NEEDS(damaged_record_is_set_aside, NEEDS_TAMPER),
    {0},
};
