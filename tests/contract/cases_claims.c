/* Claims: one owner (G1), rising fences (G2), done is final (G5). */
#include "contract.h"

/* A claim gives the task's properties and a fence, and the broker's record shows the owner. */
static void claim_gives_fence_and_properties(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_item item = {.id = "t", .properties = "{\"n\":1}"};
    mf_claim *t = new_claim(c, "t");

    assert_int_equal(call_wait(start_submit(p, NULL, &item, 1)), MF_OK);
    assert_int_equal(claim(p, t), MF_OK);
    assert_string_equal(t->properties, "{\"n\":1}");
    assert_true(t->fence > 0);
    assert_string_equal(lookup(p, "t")->owner, "a");
    assert_int_equal(lookup(p, "t")->fence, t->fence);
}

/* A task without properties is claimed without any. */
static void claim_without_properties(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_claim *t = new_claim(c, "t");

    assert_int_equal(submit(p, "t"), MF_OK);
    assert_int_equal(claim(p, t), MF_OK);
    assert_null(t->properties);
}

/* A task that never was, and one that has been removed, cannot be claimed. */
static void claim_of_deleted_task_is_gone(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);

    assert_int_equal(claim(p, new_claim(c, "never")), MF_EGONE);
    assert_int_equal(submit(p, "t"), MF_OK);
    assert_int_equal(remove_task(p, "t"), MF_OK);
    assert_int_equal(claim(p, new_claim(c, "t")), MF_EGONE);
    assert_int_equal(lookup(p, "t")->code, MF_EGONE);
}

/* While a claim holds, nobody else gets the task, and the owner is not changed by the attempt. */
static void claim_of_owned_task_is_taken(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *ours = new_claim(c, "t"), *theirs = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, ours), MF_OK);
    assert_int_equal(claim(b, theirs), MF_ETAKEN);
    assert_string_equal(lookup(b, "t")->owner, "a");
    assert_int_equal(lookup(b, "t")->fence, ours->fence);
}

/* A claim that is repeated by the session that holds the task is granted with the same fence. */
static void repeated_claim_keeps_its_fence(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_claim *first = new_claim(c, "t"), *again = new_claim(c, "t");

    submit(p, "t");
    assert_int_equal(claim(p, first), MF_OK);
    assert_int_equal(claim(p, again), MF_OK);
    assert_int_equal(again->fence, first->fence);
    assert_int_equal(node_tasks(p, "a"), 1);
}

/* In one batch each task has its own result. */
static void batch_has_a_result_for_each(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *claims = new_claims(c, "t", 3), *second = new_claim(c, "t1");

    submit(a, "t0");
    submit(a, "t1");
    assert_int_equal(claim(b, second), MF_OK);
    assert_int_equal(call_wait(start_claim(a, claims, 3)), MF_OK);
    assert_int_equal(claims[0].result, MF_OK);
    assert_int_equal(claims[1].result, MF_ETAKEN);
    assert_int_equal(claims[2].result, MF_EGONE);
}

/* Claiming takes a session that has joined. */
static void claim_without_session_is_refused(contract *c)
{
    peer *p = peer_new(c, "a");
    mf_claim *t = new_claim(c, "t");

    submit(p, "t");
    assert_int_equal(claim(p, t), MF_ENOSESSION);
    assert_null(lookup(p, "t")->owner);
}

/* Two nodes that race for 1,000 tasks, with requests under way at the same time, get each task
 * exactly once between them. */
static void race_for_1000_tasks(contract *c)
{
    enum { COUNT = 1000, BATCH = 50, CALLS = COUNT / BATCH };
    peer *p[2] = {peer_joined(c, "a", 10000), peer_joined(c, "b", 10000)};
    mf_claim *claims[2] = {new_claims(c, "t", COUNT), new_claims(c, "t", COUNT)};
    call *calls[2][CALLS];
    size_t granted[2] = {0, 0};

    submit_many(p[0], "t", COUNT);
    for (size_t i = 0; i < CALLS; i++)
        for (size_t n = 0; n < 2; n++)
            calls[n][i] = start_claim(p[n], claims[n] + i * BATCH, BATCH);
    for (size_t i = 0; i < CALLS; i++)
        for (size_t n = 0; n < 2; n++)
            assert_int_equal(call_wait(calls[n][i]), MF_OK);
    for (size_t i = 0; i < COUNT; i++) {
        bool first = claims[0][i].result == MF_OK;
        assert_int_equal(claims[first ? 0 : 1][i].result, MF_OK);
        assert_int_equal(claims[first ? 1 : 0][i].result, MF_ETAKEN);
        granted[first ? 0 : 1]++;
    }
    assert_int_equal(node_tasks(p[0], "a"), granted[0]);
    assert_int_equal(node_tasks(p[0], "b"), granted[1]);
    assert_int_equal(count_claimable(p[0]), 0);
}

/* Each new owner has a higher fence than all before it, the same node again included. */
static void fences_rise_from_owner_to_owner(contract *c)
{
    peer *p[2] = {peer_joined(c, "a", 10000), peer_joined(c, "b", 10000)};
    uint64_t last = 0;

    submit(p[0], "t");
    for (int i = 0; i < 20; i++) {
        mf_claim *t = new_claim(c, "t");
        assert_int_equal(claim(p[i / 2 % 2], t), MF_OK);
        assert_true(t->fence > last);
        last = t->fence;
        assert_int_equal(release(p[i / 2 % 2], t), MF_OK);
    }
}

/* A task that is removed while it runs, and submitted again under its id, waits for the claim on
 * its former life to be over; then it goes on with higher fences, and the former claim is worth
 * nothing.
 */
static void new_life_waits_for_the_former_claim(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *before = new_claim(c, "t"), *after = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, before), MF_OK);
    assert_int_equal(remove_task(b, "t"), MF_OK);
    assert_int_equal(submit(b, "t"), MF_OK);
    assert_int_equal(claim(b, after), MF_ETAKEN);
    assert_false(is_claimable(b, "t"));
    assert_int_equal(renew(a, before), MF_EGONE);
    assert_int_equal(release(a, before), MF_EGONE);
    assert_true(is_claimable(b, "t"));
    assert_int_equal(claim(b, after), MF_OK);
    assert_true(after->fence > before->fence);
    assert_int_equal(done(a, before), MF_ELATE);
    assert_int_equal(release(a, before), MF_ELATE);
    assert_string_equal(lookup(b, "t")->owner, "b");
}

/* When the owner of the former life does not give it back, its lease's end frees the new one,
 * whatever the owner renews meanwhile. */
static void new_life_is_free_when_the_lease_ends(contract *c)
{
    int lease_ms = c->fixture->lease_ms;
    peer *a = peer_joined(c, "a", lease_ms), *b = peer_joined(c, "b", 10000);
    mf_claim *before = new_claim(c, "t"), *after = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, before), MF_OK);
    assert_int_equal(remove_task(b, "t"), MF_OK);
    assert_int_equal(submit(b, "t"), MF_OK);
    pass_time(c, lease_ms / 2);
    assert_int_equal(renew(a, before), MF_EGONE);
    assert_int_equal(claim(b, after), MF_ETAKEN);
    assert_int_equal(claim_within(b, after, lease_ms / 2 + c->fixture->expiry_slack_ms + 100),
                     MF_OK);
    assert_true(after->fence > before->fence);
    assert_int_not_equal(done(a, before), MF_OK);
    assert_string_equal(lookup(b, "t")->owner, "b");
}

/* A released task can be claimed at once, and another node is told. */
static void release_makes_claimable(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    assert_false(is_claimable(b, "t"));
    assert_true(wait_heard(b, HEARD_TAKEN, "t", REPLY_BOUND_MS));
    b->heard_count[HEARD_CLAIMABLE] = 0;
    assert_int_equal(release(a, t), MF_OK);
    assert_true(is_claimable(b, "t"));
    assert_true(wait_heard(b, HEARD_CLAIMABLE, "t", REPLY_BOUND_MS));
    assert_int_equal(node_tasks(b, "a"), 0);
    assert_int_equal(claim(b, new_claim(c, "t")), MF_OK);
}

/* A release that is repeated says that the claim has ended, and changes nothing, also when someone
 * else has the task by then. */
static void repeated_release_is_late(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    assert_int_equal(release(a, t), MF_OK);
    assert_int_equal(release(a, t), MF_ELATE);
    assert_true(is_claimable(b, "t"));
    assert_int_equal(claim(b, new_claim(c, "t")), MF_OK);
    assert_int_equal(release(a, t), MF_ELATE);
    assert_string_equal(lookup(b, "t")->owner, "b");
}

/* An owner that gave the task back and has it again cannot end it with the fence of the first time.
 */
static void former_fence_is_late(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_claim *before = new_claim(c, "t"), *now = new_claim(c, "t");

    submit(p, "t");
    assert_int_equal(claim(p, before), MF_OK);
    assert_int_equal(release(p, before), MF_OK);
    assert_int_equal(claim(p, now), MF_OK);
    assert_int_equal(done(p, before), MF_ELATE);
    assert_int_equal(release(p, before), MF_ELATE);
    assert_int_equal(renew(p, before), MF_ELATE);
    assert_int_equal(renew(p, now), MF_OK);
    assert_int_equal(lookup(p, "t")->fence, now->fence);
}

/* A late owner's done and release are refused, and the present owner keeps the task. */
static void late_owner_is_refused(contract *c)
{
    peer *a = peer_joined(c, "a", c->fixture->lease_ms), *b = peer_joined(c, "b", 10000);
    mf_claim *late = new_claim(c, "t"), *present = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, late), MF_OK);
    assert_int_equal(claim_within(b, present, REPLY_BOUND_MS), MF_OK);
    assert_int_equal(join_again(a), MF_OK);
    assert_int_equal(done(a, late), MF_ELATE);
    assert_int_equal(release(a, late), MF_ELATE);
    assert_int_equal(renew(a, late), MF_ELATE);
    assert_string_equal(lookup(b, "t")->owner, "b");
    assert_int_equal(renew(b, present), MF_OK);
}

/* A task that is done is gone for everybody, and a repeated done says so. */
static void done_is_final(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    assert_int_equal(done(a, t), MF_OK);
    assert_int_equal(done(a, t), MF_EGONE);
    assert_int_equal(lookup(b, "t")->code, MF_EGONE);
    assert_int_equal(claim(b, new_claim(c, "t")), MF_EGONE);
    assert_int_equal(node_tasks(b, "a"), 0);
    assert_int_equal(count_tasks(b), 0);
}

/* No delayed request brings a finished task back: release, renewal, claim, done. */
static void done_task_is_not_resurrected(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    assert_int_equal(done(a, t), MF_OK);
    assert_int_equal(release(a, t), MF_EGONE);
    assert_int_equal(renew(a, t), MF_EGONE);
    assert_int_equal(claim(a, new_claim(c, "t")), MF_EGONE);
    assert_false(is_claimable(b, "t"));
    assert_int_equal(count_tasks(b), 0);
    assert_int_equal(lookup(b, "t")->code, MF_EGONE);
}

/* Finishing task 1 touches nothing of tasks 10 and 11, claimed or not. */
static void done_on_1_leaves_10_and_11(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_claim *one = new_claim(c, "1"), *ten = new_claim(c, "10");

    submit(p, "1");
    submit(p, "10");
    submit(p, "11");
    assert_int_equal(claim(p, one), MF_OK);
    assert_int_equal(claim(p, ten), MF_OK);
    assert_int_equal(done(p, one), MF_OK);
    assert_int_equal(lookup(p, "10")->fence, ten->fence);
    assert_int_equal(renew(p, ten), MF_OK);
    assert_true(is_claimable(p, "11"));
    assert_int_equal(count_tasks(p), 2);
}

const contract_case claim_cases[] = {
    CASE(claim_gives_fence_and_properties),
    CASE(claim_without_properties),
    CASE(claim_of_deleted_task_is_gone),
    CASE(claim_of_owned_task_is_taken),
    CASE(repeated_claim_keeps_its_fence),
    CASE(batch_has_a_result_for_each),
    CASE(claim_without_session_is_refused),
    CASE(race_for_1000_tasks),
    CASE(fences_rise_from_owner_to_owner),
    CASE(new_life_waits_for_the_former_claim),
    CASE(new_life_is_free_when_the_lease_ends),
    CASE(release_makes_claimable),
    CASE(repeated_release_is_late),
    CASE(former_fence_is_late),
    CASE(late_owner_is_refused),
    CASE(done_is_final),
    CASE(done_task_is_not_resurrected),
    CASE(done_on_1_leaves_10_and_11),
    {0},
};
