/* Sessions: one name, one node (G8); what is late of an earlier epoch is refused. */
#include "contract.h"

/* A second live node with a name in use is refused, and told by whom and for how long. */
static void name_in_use_is_refused(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *second = peer_new(c, "a");

    call *one = start_join(second, false);
    assert_int_equal(call_wait(one), MF_ENAMEINUSE);
    assert_string_equal(one->request.join.holder, a->session.token);
    assert_in_range(one->request.join.remaining_ms, 1, 10000);
    assert_true(strlen(one->request.head.error.text) > 0);
    assert_int_equal(call_wait(start_renew(a, NULL, 0)), MF_OK);
}

/* A restart under the same name gets it when the old session has lapsed, in the time it was told,
 * and not before. */
static void restart_waits_for_the_old_session(contract *c)
{
    peer *old = peer_joined(c, "a", c->fixture->lease_ms), *restarted = peer_new(c, "a");

    call *one = start_join(restarted, false);
    assert_int_equal(call_wait(one), MF_ENAMEINUSE);
    pass_time(c, (int)one->request.join.remaining_ms + c->fixture->expiry_slack_ms);
    assert_int_equal(join(restarted), MF_OK);
    old->session.epoch++;
    assert_int_equal(join(old), MF_ENAMEINUSE);
}

/* Told that the old process is dead, a join ends its session: its tasks are claimable soon, long
 * before their leases would end, and what it still sends changes nothing. */
static void takeover_ends_the_old_session(contract *c)
{
    peer *old = peer_joined(c, "a", 10000), *next = peer_new(c, "a");
    mf_claim *t = new_claim(c, "t"), *again = new_claim(c, "t");

    submit(old, "t");
    assert_int_equal(claim(old, t), MF_OK);
    assert_int_equal(call_wait(start_join(next, true)), MF_OK);
    assert_int_equal(claim_within(next, again, 1000), MF_OK);
    assert_true(again->fence > t->fence);
    assert_int_equal(call_wait(start_renew(old, t, 1)), MF_ENOSESSION);
    assert_int_not_equal(release(old, t), MF_OK);
    assert_int_not_equal(done(old, t), MF_OK);
    assert_int_equal(join_again(old), MF_ENAMEINUSE);
    assert_int_equal(lookup(next, "t")->fence, again->fence);
}

/* A join that is repeated is one join. */
static void join_may_be_repeated(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *takes = peer_new(c, "a");

    assert_int_equal(join(a), MF_OK);
    assert_int_equal(call_wait(start_join(takes, true)), MF_OK);
    assert_int_equal(call_wait(start_join(takes, true)), MF_OK);
    assert_int_equal(node_tasks(a, "a"), 0);
}

/* After a join with a higher epoch, a delayed request of the lower one is refused as a whole. */
static void lower_epoch_is_stale(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *late = peer_ghost(a);
    mf_claim *held = new_claim(c, "held"), *copy = new_claim(c, "held");

    submit(a, "t");
    submit(a, "held");
    assert_int_equal(claim(a, held), MF_OK);
    copy->fence = held->fence;
    assert_int_equal(join_again(a), MF_OK);
    assert_int_equal(claim(late, new_claim(c, "t")), MF_ESTALE);
    assert_int_equal(release(late, copy), MF_ESTALE);
    assert_int_equal(done(late, copy), MF_ESTALE);
    assert_int_equal(call_wait(start_renew(late, copy, 1)), MF_ESTALE);
    assert_int_equal(join(late), MF_ESTALE);
    assert_int_equal(leave(late), MF_ESTALE);
    assert_true(is_claimable(a, "t"));
    assert_int_equal(renew(a, held), MF_OK);
}

/* Requests that are made behind a join, while that has no answer yet, are of the new epoch. */
static void requests_behind_a_join(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);
    mf_claim *held = new_claim(c, "held"), *t = new_claim(c, "t");

    submit(a, "t");
    submit(a, "held");
    assert_int_equal(claim(a, held), MF_OK);
    a->session.epoch++;
    call *joined = start_join(a, false), *renewed = start_renew(a, held, 1);
    call *received = start_receive(a, 0, 10), *claimed = start_claim(a, t, 1);
    call *ended = start_done(a, held, 1);
    assert_int_equal(call_wait(joined), MF_OK);
    assert_int_equal(call_wait(renewed), MF_OK);
    assert_int_equal(call_wait(received), MF_OK);
    assert_int_equal(call_wait(claimed), MF_OK);
    assert_int_equal(t->result, MF_OK);
    assert_int_equal(call_wait(ended), MF_OK);
    assert_int_equal(held->result, MF_OK);
}

/* Claims stay the session's across a join with a higher epoch, with their fences. */
static void claims_survive_a_join_again(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);
    mf_claim *t = new_claim(c, "t"), *again = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    assert_int_equal(join_again(a), MF_OK);
    assert_int_equal(claim(a, again), MF_OK);
    assert_int_equal(again->fence, t->fence);
    assert_int_equal(done(a, t), MF_OK);
}

/* Leaving frees the name and the tasks at once; repeated, it is still right. */
static void leave_frees_name_and_tasks(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000), *next;

    submit_many(a, "t", 3);
    assert_int_equal(claim_many(a, new_claims(c, "t", 3), 3), 3);
    assert_int_equal(leave(a), MF_OK);
    assert_int_equal(leave(a), MF_OK);
    assert_int_equal(node_tasks(b, "a"), -1);
    assert_int_equal(count_claimable(b), 3);
    assert_int_equal(claim_many(b, new_claims(c, "t", 3), 3), 3);
    next = peer_new(c, "a");
    assert_int_equal(join(next), MF_OK);
    assert_int_equal(leave(a), MF_OK);
    assert_int_equal(node_tasks(b, "a"), 0);
}

/* A node that has left has nothing more to say. */
static void request_after_leave_has_no_session(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);

    submit(a, "t");
    assert_int_equal(leave(a), MF_OK);
    assert_int_equal(claim(a, new_claim(c, "t")), MF_ENOSESSION);
    assert_int_equal(call_wait(start_renew(a, NULL, 0)), MF_ENOSESSION);
    assert_int_equal(call_wait(start_receive(a, 0, 10)), MF_ENOSESSION);
    assert_true(is_claimable(a, "t"));
}

/* The listing of nodes shows who lives, with weight and number of tasks. */
static void nodes_are_listed(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_new(c, "b");

    b->session.weight = 2.5;
    assert_int_equal(join(b), MF_OK);
    submit_many(a, "t", 5);
    assert_int_equal(claim_many(a, new_claims(c, "t", 5), 5), 5);
    call *one = start_nodes(b);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(one->request.nodes.count, 2);
    bool swapped = strcmp(one->request.nodes.nodes[0].name, "b") == 0;
    const mf_node *first = &one->request.nodes.nodes[swapped ? 1 : 0];
    const mf_node *second = &one->request.nodes.nodes[swapped ? 0 : 1];
    assert_string_equal(first->name, "a");
    assert_int_equal(first->tasks, 5);
    assert_true(first->weight == 1 && second->weight == 2.5);
    assert_int_equal(second->tasks, 0);
}

static bool is_weightless(void *arg)
{
    return ((peer *)arg)->neighbour.weight == 0;
}

/* A watcher that has read all once is told of each other node: that it has joined, has another
 * weight, or holds more or fewer tasks, and that it has gone. */
static void nodes_are_told(contract *c)
{
    enum { WITHIN_MS = 2000 };
    peer *watching = peer_joined(c, "watching", 10000), *b = peer_new(c, "b");
    mf_claim *held = new_claims(c, "t", 5);

    if (!watching->broker->tells_nodes)
        skip();
    submit_many(watching, "t", 5);
    assert_true(is_claimable(watching, "t0"));
    assert_int_equal(call_wait(start_nodes(watching)), MF_OK);
    b->session.weight = 2.5;
    assert_int_equal(join(b), MF_OK);
    assert_true(wait_neighbour(watching, "b", 0, WITHIN_MS));
    assert_true(watching->neighbour.weight == 2.5);
    assert_int_equal(claim_many(b, held, 5), 5);
    assert_true(wait_neighbour(watching, "b", 5, WITHIN_MS));
    assert_int_equal(release(b, &held[0]), MF_OK);
    assert_true(wait_neighbour(watching, "b", 4, WITHIN_MS));
    assert_int_equal(done(b, &held[1]), MF_OK);
    assert_true(wait_neighbour(watching, "b", 3, WITHIN_MS));
    b->session.epoch++;
    b->session.weight = 0;
    assert_int_equal(join(b), MF_OK);
    assert_true(wait_until(c, is_weightless, watching, WITHIN_MS));
    assert_int_equal(leave(b), MF_OK);
    assert_true(wait_neighbour(watching, "b", -1, WITHIN_MS));
}

const contract_case session_cases[] = {
    CASE(name_in_use_is_refused),
    CASE(restart_waits_for_the_old_session),
    CASE(takeover_ends_the_old_session),
    CASE(join_may_be_repeated),
    CASE(lower_epoch_is_stale),
    CASE(requests_behind_a_join),
    CASE(claims_survive_a_join_again),
    CASE(leave_frees_name_and_tasks),
    CASE(request_after_leave_has_no_session),
    CASE(nodes_are_listed),
    CASE(nodes_are_told),
    {0},
};
