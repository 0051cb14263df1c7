/* One consumer's session with its broker, as the coordinator keeps it over any driver. */
#include "agent.h"
#include "coordinator/internal.h"

static const char *direct(contract *c)
{
    return c->fixture->url(c->fixture);
}

static const char *by_link(contract *c)
{
    return c->fixture->link_url(c->fixture);
}

/* A claim goes through its life: offered, granted, renewed over several leases, done. */
static void claim_lives_until_it_is_ended(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 2000);
    peer *p = peer_joined(c, "b", 10000);

    submit(p, "t");
    assert_true(await_offered(a, "t", REPLY_BOUND_MS));
    agent_claim *t = agent_claimed(a, "t");
    assert_int_equal(lookup(p, "t")->fence, t->claim.fence);
    pass_time(c, 3000);
    assert_int_equal(claim(p, new_claim(c, "t")), MF_ETAKEN);
    assert_int_equal(t->lost, MF_STOP_NONE);
    assert_true(mf__claim_deadline_us(&t->claim) > mf_loop_now_us(c->loop));
    agent_end(a, t, MF_DONE);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_OK);
    assert_int_equal(count_tasks(p), 0);
}

/* A claim that another has, and one of a task that is gone, are answered as such. */
static void refused_claims_are_answered(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 5000);
    peer *p = peer_joined(c, "b", 10000);

    submit(p, "t");
    assert_int_equal(claim(p, new_claim(c, "t")), MF_OK);
    agent_claim *taken = agent_start_claim(a, "t"), *gone = agent_start_claim(a, "none");
    assert_true(await_granted(a, taken) && await_granted(a, gone));
    assert_int_equal(taken->granted, MF_ETAKEN);
    assert_int_equal(gone->granted, MF_EGONE);
}

/* A task that is removed is lost to its owner by the next renewal, as deleted. */
static void removed_task_is_lost(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 2000);
    peer *p = peer_new(c, "b");

    submit(p, "t");
    agent_claim *t = agent_claimed(a, "t");
    assert_int_equal(remove_task(p, "t"), MF_OK);
    assert_true(await_lost(a, t, 2000));
    assert_int_equal(t->lost, MF_STOP_DELETED);
    agent_end(a, t, MF_DONE);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_EGONE);
}

/* A task that was removed and submitted again is lost to its first owner as deleted, and is
 * another's as soon as the owner has ended it. */
static void new_life_is_for_another(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 2000);
    peer *p = peer_joined(c, "b", 10000);

    submit(p, "t");
    agent_claim *t = agent_claimed(a, "t");
    assert_int_equal(remove_task(p, "t"), MF_OK);
    assert_int_equal(submit(p, "t"), MF_OK);
    assert_true(await_lost(a, t, 2000));
    assert_int_equal(t->lost, MF_STOP_DELETED);
    assert_int_equal(claim(p, new_claim(c, "t")), MF_ETAKEN);
    agent_end(a, t, MF_DONE);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_EGONE);
    assert_int_equal(claim(p, new_claim(c, "t")), MF_OK);
}

/* A claim that was given back behind the coordinator's back, and is another's by now, is lost by
 * the next renewal; the late done is refused. */
static void claim_of_another_is_lost(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 2000);
    peer *p = peer_joined(c, "b", 10000), *ghost = peer_new(c, "a");

    submit(p, "t");
    agent_claim *t = agent_claimed(a, "t");
    mf_claim copy = {.id = "t", .fence = t->claim.fence};
    ghost->session = a->coordinator->session;
    assert_int_equal(release(ghost, &copy), MF_OK);
    assert_int_equal(claim(p, new_claim(c, "t")), MF_OK);
    assert_true(await_lost(a, t, 2000));
    assert_int_equal(t->lost, MF_STOP_LOST);
    agent_end(a, t, MF_DONE);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_ELATE);
    assert_string_equal(lookup(p, "t")->owner, "b");
}

/* A second live consumer under a name is refused, and the first goes on. */
static void second_consumer_of_a_name_fails(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 2000);
    agent *second = agent_open(c, direct(c), "a", 2000, false);

    assert_true(await_failed(second, REPLY_BOUND_MS));
    assert_int_equal(second->failed, MF_ENAMEINUSE);
    assert_false(second->joined);
    assert_int_equal(a->failed, 0);
}

/* A restart under the name of a process that died joins when the old session has lapsed. */
static void restart_joins_when_the_old_session_lapses(contract *c)
{
    peer *dead = peer_joined(c, "a", 2000);
    agent *restarted = agent_open(c, direct(c), "a", 2000, false);

    assert_true(await_joined(restarted, 3000 + c->fixture->expiry_slack_ms));
    assert_int_equal(restarted->failed, 0);
    assert_int_equal(node_tasks(dead, "a"), 0);
}

/* Told that the old process is dead, a restart joins at once and is offered the old one's tasks. */
static void takeover_joins_at_once(contract *c)
{
    peer *dead = peer_joined(c, "a", 60000);

    submit(dead, "t");
    assert_int_equal(claim(dead, new_claim(c, "t")), MF_OK);
    agent *next = agent_open(c, direct(c), "a", 2000, true);
    assert_true(await_joined(next, 2000));
    assert_true(await_offered(next, "t", 2000));
    agent_claimed(next, "t");
}

/* Closing leaves: the name is free and what was released is claimable, at once. */
static void close_leaves(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 10000);
    peer *p = peer_new(c, "b");

    submit(p, "t");
    agent_claimed(a, "t");
    assert_int_equal(node_tasks(p, "a"), 1);
    agent_close(a);
    assert_int_equal(node_tasks(p, "a"), -1);
    assert_true(is_claimable(p, "t"));
}

/* Commands arrive in the order in which they were sent, each once while nothing fails. */
static void commands_arrive_in_order(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 10000);
    peer *p = peer_new(c, "b");
    char expected[256] = "";

    for (int i = 0; i < 30; i++) {
        assert_int_equal(send_command(p, "a", keep_text(c, "%d", i)), MF_OK);
        sprintf(expected + strlen(expected), "%d ", i);
    }
    await_command(a, "29", REPLY_BOUND_MS);
    assert_string_equal(a->commands, expected);
}

/* A lapse of other nodes' claims is offered within a second of their lease's end, without waiting
 * for a reconcile. */
static void lapsed_claims_are_offered(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 10000);
    peer *dead = peer_joined(c, "b", 2000);

    submit(dead, "t");
    assert_true(await_offered(a, "t", REPLY_BOUND_MS));
    assert_int_equal(claim(dead, new_claim(c, "t")), MF_OK);
    pass_time(c, 1900);
    a->offered_count = 0;
    assert_true(await_offered(a, "t", 1100 + c->fixture->expiry_slack_ms));
}

/* With a link that can fail. */

/* Looks through a link of its own until the task has an owner, or has none. */
static void await_owner(peer *by, const char *id, bool owned)
{
    int64_t bound_us = mf_loop_now_us(by->c->loop) + REPLY_BOUND_MS * INT64_C(1000);
    while ((lookup(by, id)->owner != NULL) != owned)
        assert_true(mf_loop_now_us(by->c->loop) < bound_us);
}

static void cut_and_mend(contract *c)
{
    c->fixture->set_link(c->fixture, LINK_CUT);
    c->fixture->set_link(c->fixture, LINK_PASS);
}

/* A claim whose reply was lost is asked about again, not guessed: it is granted once, with the
 * fence that the broker gave it. */
static void ambiguous_claim_is_resolved(contract *c)
{
    agent *a = agent_joined(c, by_link(c), "a", 5000);
    peer *p = peer_joined(c, "b", 10000);

    submit(p, "t");
    assert_true(await_offered(a, "t", REPLY_BOUND_MS));
    c->fixture->set_link(c->fixture, LINK_LOSE_REPLIES);
    agent_claim *t = agent_start_claim(a, "t");
    await_owner(p, "t", true);
    assert_int_equal(t->grants, 0);
    cut_and_mend(c);
    assert_true(await_granted(a, t));
    assert_int_equal(t->granted, MF_OK);
    assert_int_equal(t->grants, 1);
    assert_int_equal(t->claim.fence, lookup(p, "t")->fence);
}

/* A release whose reply was lost is ended once, as released. */
static void ambiguous_release_is_resolved(contract *c)
{
    agent *a = agent_joined(c, by_link(c), "a", 5000);
    peer *p = peer_joined(c, "b", 10000);

    submit(p, "t");
    agent_claim *t = agent_claimed(a, "t");
    c->fixture->set_link(c->fixture, LINK_LOSE_REPLIES);
    agent_end(a, t, MF_RELEASE);
    await_owner(p, "t", false);
    cut_and_mend(c);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_OK);
    assert_int_equal(t->endings, 1);
    assert_true(is_claimable(p, "t"));
}

/* A link that breaks and comes back within the lease costs nothing: claims hold with their fences,
 * and new ones can be made. */
static void short_break_costs_nothing(contract *c)
{
    agent *a = agent_joined(c, by_link(c), "a", 5000);
    peer *p = peer_joined(c, "b", 10000);

    submit_many(p, "t", 2);
    agent_claim *t = agent_claimed(a, "t0");
    for (unsigned i = 1; i <= 3; i++) {
        cut_and_mend(c);
        assert_true(await_ups(a, i));
    }
    assert_int_equal(lookup(p, "t0")->fence, t->claim.fence);
    assert_int_equal(t->lost, MF_STOP_NONE);
    agent_claimed(a, "t1");
    agent_end(a, t, MF_DONE);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_OK);
}

/* When the broker has gone silent, the claim is to be stopped stop_grace before its deadline, and
 * expires at the deadline, while the broker still keeps others away. */
static void silence_ends_the_claim_in_time(contract *c)
{
    agent *a = agent_joined(c, by_link(c), "a", 3000);
    peer *p = peer_joined(c, "b", 10000);
    mf_claim *next = new_claim(c, "t");

    submit(p, "t");
    agent_claim *t = agent_claimed(a, "t");
    c->fixture->set_link(c->fixture, LINK_SILENT);
    assert_true(await_lost(a, t, 4000));
    assert_int_equal(t->lost, MF_STOP_EXPIRING);
    int64_t deadline_us = mf__claim_deadline_us(&t->claim);
    assert_true(t->lost_us < deadline_us);
    assert_true(t->lost_us >= deadline_us - 800000);
    assert_true(await_expired(a, t, 2000));
    assert_int_equal(claim(p, next), MF_ETAKEN);
    assert_int_equal(claim_within(p, next, 5000), MF_OK);
    assert_true(next->fence > t->claim.fence);
    c->fixture->set_link(c->fixture, LINK_CUT);
}

/* Commands that are sent while the link breaks again and again all arrive, in order, at least once.
 */
static void commands_survive_reconnects(contract *c)
{
    agent *a = agent_joined(c, by_link(c), "a", 10000);
    peer *p = peer_new(c, "b");
    int last = -1;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(send_command(p, "a", keep_text(c, "%d", i)), MF_OK);
        if (i % 5 == 2)
            cut_and_mend(c);
    }
    assert_true(await_command(a, "19", REPLY_BOUND_MS));
    for (char *at = a->commands, *end; *at != 0; at = end + 1) {
        int number = (int)strtol(at, &end, 10);
        assert_true(number <= last + 1);
        last = number > last ? number : last;
    }
    assert_int_equal(last, 19);
}

/* Hints' connections that are killed lose no task: it is found by the reading that follows. */
static void killed_hints_lose_no_task(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 10000);
    peer *p = peer_new(c, "b");

    for (int i = 0; i < 20; i++) {
        if (i % 5 == 2)
            c->fixture->cut_hints(c->fixture);
        assert_int_equal(submit(p, keep_text(c, "t%d", i)), MF_OK);
    }
    for (int i = 0; i < 20; i++)
        assert_true(await_offered(a, keep_text(c, "t%d", i), REPLY_BOUND_MS));
}

/* An owner record that is removed behind our back is told to the owner by its next renewal. */
static void removed_owner_is_lost(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 2000);
    peer *p = peer_joined(c, "b", 10000);

    submit(p, "t");
    agent_claim *t = agent_claimed(a, "t");
    c->fixture->remove_owner(c->fixture, c->name_space, "t");
    assert_true(await_lost(a, t, 2000));
    assert_int_equal(t->lost, MF_STOP_LOST);
    assert_int_equal(claim(p, new_claim(c, "t")), MF_OK);
    agent_end(a, t, MF_DONE);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_ELATE);
    assert_string_equal(lookup(p, "t")->owner, "b");
}

/* A broker that is killed and comes back finds its coordinators again, with their claims. Their
 * lease lasts longer than a busy machine takes to start a server. */
static void coordinator_survives_a_restart(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 30000);
    peer *p = peer_new(c, "b");

    submit_many(p, "t", 2);
    agent_claim *t = agent_claimed(a, "t0");
    c->fixture->kill_server(c->fixture);
    c->fixture->start_server(c->fixture);
    assert_true(await_ups(a, 1));
    agent_claim *u = agent_claimed(a, "t1");
    assert_true(u->claim.fence > t->claim.fence);
    assert_int_equal(t->lost, MF_STOP_NONE);
    agent_end(a, t, MF_DONE);
    assert_true(await_ended(a, t));
    assert_int_equal(t->ended, MF_OK);
}

/* A task that the broker lists as the node's, which has ended it, comes back: so it is when the
 * broker has lost an ending that it had acknowledged. What the node does hold stays its own. */
static void what_is_held_in_vain_comes_back(contract *c)
{
    agent *a = agent_joined(c, direct(c), "a", 1500);
    peer *p = peer_joined(c, "b", 10000), *as_a = peer_joined(c, "of a", 10000);

    submit_many(p, "t", 3);
    agent_claim *kept = agent_claimed(a, "t0");
    as_a->session = a->coordinator->session;
    assert_int_equal(claim(as_a, new_claim(c, "t1")), MF_OK);
    assert_int_equal(claim(as_a, new_claim(c, "t2")), MF_OK);
    assert_true(wait_heard(p, HEARD_CLAIMABLE, "t1", 1500));
    assert_true(wait_heard(p, HEARD_CLAIMABLE, "t2", 1500));
    assert_int_equal(claim_within(p, new_claim(c, "t1"), 1500), MF_OK);
    assert_int_equal(claim_within(p, new_claim(c, "t2"), 1500), MF_OK);
    assert_int_equal(claim(p, new_claim(c, "t0")), MF_ETAKEN);
    assert_int_equal(kept->lost, MF_STOP_NONE);
}

/* A claim that is under way while the two are compared is not taken for one that is held in vain.
 */
static void claims_under_way_are_not_given_back(contract *c)
{
    enum { COUNT = 40 };
    agent *a = agent_joined(c, direct(c), "a", 600);
    peer *p = peer_joined(c, "b", 10000), *as_a = peer_joined(c, "of a", 10000);
    agent_claim *claims[COUNT];

    submit_many(p, "t", COUNT);
    submit(p, "vain");
    as_a->session = a->coordinator->session;
    assert_int_equal(claim(as_a, new_claim(c, "vain")), MF_OK);
    for (int i = 0; i < COUNT; i++) {
        claims[i] = agent_start_claim(a, keep_text(c, "t%d", i));
        pass_time(c, 25);
    }
    assert_true(await_offered(a, "vain", 1500));
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(claims[i]->granted, MF_OK);
        assert_int_equal(claims[i]->lost, MF_STOP_NONE);
    }
}

const contract_case coordinator_cases[] = {
    CASE(claim_lives_until_it_is_ended),
    CASE(refused_claims_are_answered),
    CASE(removed_task_is_lost),
    CASE(new_life_is_for_another),
    CASE(claim_of_another_is_lost),
    CASE(second_consumer_of_a_name_fails),
    CASE(restart_joins_when_the_old_session_lapses),
    CASE(takeover_joins_at_once),
    CASE(close_leaves),
    CASE(commands_arrive_in_order),
    CASE(lapsed_claims_are_offered),
    CASE_NEEDS(what_is_held_in_vain_comes_back, NEEDS_HELD),
    CASE_NEEDS(claims_under_way_are_not_given_back, NEEDS_HELD),
    CASE_NEEDS(ambiguous_claim_is_resolved, NEEDS_LINK),
    CASE_NEEDS(ambiguous_release_is_resolved, NEEDS_LINK),
    CASE_NEEDS(short_break_costs_nothing, NEEDS_LINK),
    CASE_NEEDS(silence_ends_the_claim_in_time, NEEDS_LINK),
    CASE_NEEDS(commands_survive_reconnects, NEEDS_LINK),
    CASE_NEEDS(killed_hints_lose_no_task, NEEDS_HINT_CUT),
    CASE_NEEDS(removed_owner_is_lost, NEEDS_TAMPER),
    CASE_NEEDS(coordinator_survives_a_restart, NEEDS_SERVER | NEEDS_PERSISTENCE),
    {0},
};
