/* Leases: a claim holds while it is renewed, and ends in time when it is not (G1, G4). */
#include "contract.h"
#include "worker.h"

/* By then a claim must have become claimable (G4). */
static int bound_ms(const contract *c)
{
    return c->fixture->lease_ms + c->fixture->expiry_slack_ms + 1000;
}

/* A claim that is not renewed holds until its lease ends, and is free within a second after. */
static void unrenewed_claim_lapses(contract *c)
{
    peer *a = peer_joined(c, "a", c->fixture->lease_ms), *b = peer_joined(c, "b", 10000);
    mf_claim *old = new_claim(c, "t"), *next = new_claim(c, "t");

    submit(a, "t");
    call *granted = start_claim(a, old, 1);
    assert_int_equal(call_wait(granted), MF_OK);
    assert_int_equal(claim_within(b, next, bound_ms(c)), MF_OK);
    int64_t held_us = mf_loop_now_us(c->loop) - granted->request.head.sent_us;
    assert_true(held_us >= c->fixture->lease_ms * INT64_C(1000));
    assert_true(held_us <= bound_ms(c) * INT64_C(1000));
    assert_true(next->fence > old->fence);
}

/* A lapsed claim's task is listed as claimable within a second, and the node is not any more. */
static void lapsed_task_is_listed(contract *c)
{
    peer *a = peer_joined(c, "a", c->fixture->lease_ms), *b = peer_joined(c, "b", 10000);

    submit(a, "t");
    assert_int_equal(claim(a, new_claim(c, "t")), MF_OK);
    assert_false(is_claimable(b, "t"));
    pass_time(c, bound_ms(c));
    assert_true(is_claimable(b, "t"));
    assert_null(lookup(b, "t")->owner);
    assert_int_equal(node_tasks(b, "a"), -1);
}

/* A claim that is renewed holds for several leases. */
static void renewed_claim_holds(contract *c)
{
    int lease_ms = c->fixture->lease_ms;
    peer *a = peer_joined(c, "a", lease_ms), *b = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    for (int i = 0; i < 8; i++) {
        pass_time(c, lease_ms / 3);
        assert_int_equal(renew(a, t), MF_OK);
        assert_int_equal(claim(b, new_claim(c, "t")), MF_ETAKEN);
    }
    assert_int_equal(lookup(b, "t")->fence, t->fence);
}

/* The session alone can be renewed, and keeps the node's name. */
static void renewed_session_keeps_its_name(contract *c)
{
    peer *a = peer_joined(c, "a", c->fixture->lease_ms), *other = peer_new(c, "a");

    for (int i = 0; i < 6; i++) {
        pass_time(c, c->fixture->lease_ms / 3);
        assert_int_equal(call_wait(start_renew(a, NULL, 0)), MF_OK);
    }
    assert_int_equal(join(other), MF_ENAMEINUSE);
    assert_int_equal(node_tasks(other, "a"), 0);
}

/* A session that is not renewed lapses: its node is not listed any more, its renewals say so, and
 * with a higher epoch it joins again. */
static void unrenewed_session_lapses(contract *c)
{
    peer *a = peer_joined(c, "a", c->fixture->lease_ms);

    pass_time(c, c->fixture->lease_ms + c->fixture->expiry_slack_ms);
    assert_int_equal(node_tasks(a, "a"), -1);
    assert_int_equal(call_wait(start_renew(a, NULL, 0)), MF_ENOSESSION);
    assert_int_equal(join_again(a), MF_OK);
    assert_int_equal(call_wait(start_renew(a, NULL, 0)), MF_OK);
    assert_int_equal(node_tasks(a, "a"), 0);
}

/* In one renewal, the claims that are lost are told with the reason, and the others renewed. */
static void renewal_tells_what_is_lost(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *claims = new_claims(c, "t", 4), copy;

    submit_many(a, "t", 4);
    assert_int_equal(claim_many(a, claims, 4), 4);
    copy = claims[1];
    assert_int_equal(release(a, &copy), MF_OK);
    assert_int_equal(claim(b, new_claim(c, "t1")), MF_OK);
    assert_int_equal(remove_task(b, "t3"), MF_OK);

    call *one = start_renew(a, claims, 4);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(one->request.renew.lost_count, 2);
    assert_int_equal(one->request.renew.lost[0].index, 1);
    assert_int_equal(one->request.renew.lost[0].code, MF_ELATE);
    assert_int_equal(one->request.renew.lost[1].index, 3);
    assert_int_equal(one->request.renew.lost[1].code, MF_EGONE);
}

/* A whole lease of the largest size is renewed by one request. */
static void largest_lease_is_renewed(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);
    size_t count = a->broker->max_lease < 1000 ? a->broker->max_lease : 1000;
    mf_claim *claims = new_claims(c, "t", count);

    submit_many(a, "t", count);
    assert_int_equal(claim_many(a, claims, count), count);
    call *one = start_renew(a, claims, count);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(one->request.renew.lost_count, 0);
}

/* The time that deadlines count from is not later than the request's start, and not earlier than
 * when it was handed over. */
static void sent_time_is_told(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(a, "t");
    int64_t before_us = mf_loop_now_us(c->loop);
    int64_t age_us = a->session.lease_ms * 10 * c->fixture->claim_age_percent;
    call *one = start_claim(a, t, 1);
    assert_int_equal(call_wait(one), MF_OK);
    assert_in_range(one->request.head.sent_us, before_us - age_us, mf_loop_now_us(c->loop));
    one = start_renew(a, t, 1);
    assert_int_equal(call_wait(one), MF_OK);
    assert_in_range(one->request.head.sent_us, before_us, mf_loop_now_us(c->loop));
}

/* 10,000 tasks of a dead node can all be claimed by another within a second of the lease's end, or,
 * on a machine so busy that the first claims take long, within twice their time. */
static void takeover_of_10000_tasks(contract *c)
{
    enum { COUNT = 10000 };
    peer *b = peer_joined(c, "b", 60000);
    mf_claim *claims = new_claims(c, "t", COUNT), *next = new_claims(c, "t", COUNT);
    size_t granted = 0;

    submit_many(b, "t", COUNT);
    peer *a = peer_joined(c, "a", 3000);
    int64_t began_us = mf_loop_now_us(c->loop);
    assert_int_equal(claim_many(a, claims, COUNT), COUNT);
    int64_t last_us = mf_loop_now_us(c->loop);
    int64_t within_us = 2 * (last_us - began_us) > 1000000 ? 2 * (last_us - began_us) : 1000000;
    pass_time(c, 3000);
    while (granted < COUNT && mf_loop_now_us(c->loop) < last_us + 3000000 + within_us +
                                                            c->fixture->expiry_slack_ms * 1000)
        granted = claim_many(b, next, COUNT);
    assert_int_equal(granted, COUNT);
}

/* A broker that takes 0.29 of the lease for each round trip lets tasks start, those that come while
 * others are renewed as well, and stops none. */
static void slow_broker_stops_nothing(contract *c)
{
    enum { LEASE_MS = 3000, EARLY = 20, WAVES = 7 };
    crew *all = crew_new(c, EARLY + WAVES);
    peer *p = peer_new(c, "client");
    mf_consumer_options options = worker_options(c, "a");

    options.broker = c->fixture->link_url(c->fixture);
    options.lease_ms = LEASE_MS;
    c->fixture->slow_link(c->fixture, LEASE_MS * 29 / 100);
    submit_many(p, "t", EARLY);
    worker *w = worker_open(all, &options, RUNS_UNTIL_STOPPED);
    assert_true(await_running(w, EARLY, 4 * LEASE_MS));
    for (int i = 0; i < WAVES; i++) {
        assert_int_equal(submit(p, keep_text(c, "t%d", EARLY + i)), MF_OK);
        pass_time(c, LEASE_MS / 5);
    }
    pass_time(c, 5 * LEASE_MS);
    assert_int_equal(w->running, all->count);
    assert_int_equal(w->started, all->count);
    assert_int_equal(w->reason, MF_STOP_NONE);
}

const contract_case lease_cases[] = {
    CASE(unrenewed_claim_lapses),
    CASE(lapsed_task_is_listed),
    CASE(renewed_claim_holds),
    CASE(renewed_session_keeps_its_name),
    CASE(unrenewed_session_lapses),
    CASE(renewal_tells_what_is_lost),
    CASE(largest_lease_is_renewed),
    CASE(sent_time_is_told),
    CASE(takeover_of_10000_tasks),
    CASE_NEEDS(slow_broker_stops_nothing, NEEDS_LINK),
    {0},
};
