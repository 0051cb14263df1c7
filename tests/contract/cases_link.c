/* The link to the broker: requests whose replies are lost, links that break, half-open ones. Each
 * ends in a code that says what is known, and repeating under a higher epoch is harmless. */
#include "contract.h"

static void set_link(contract *c, link_state state)
{
    c->fixture->set_link(c->fixture, state);
}

static peer *linked_and_joined(contract *c, const char *node)
{
    peer *p = peer_linked(c, node);
    assert_int_equal(join(p), MF_OK);
    return p;
}

typedef struct record_wanted {
    peer *p;
    const char *id;
    bool (*is)(const mf_task_record *record);
} record_wanted;

static bool is_owned(const mf_task_record *record)
{
    return record->owner != NULL;
}

static bool is_free(const mf_task_record *record)
{
    return record->code == MF_OK && record->owner == NULL;
}

static bool is_gone(const mf_task_record *record)
{
    return record->code == MF_EGONE;
}

/* Looks through a link of its own until the broker has carried out what is under way. */
static void await_record(peer *by, const char *id, bool (*is)(const mf_task_record *record))
{
    int64_t bound_us = mf_loop_now_us(by->c->loop) + REPLY_BOUND_MS * INT64_C(1000);
    while (!is(lookup(by, id)))
        assert_true(mf_loop_now_us(by->c->loop) < bound_us);
}

/* The reply to `one` is lost with the link, after the broker has carried it out; the link comes
 * back, and the session with it. */
static void lose_the_reply(peer *p, call *one, peer *by, const char *id,
                           bool (*is)(const mf_task_record *record))
{
    await_record(by, id, is);
    assert_false(one->finished);
    set_link(p->c, LINK_CUT);
    assert_int_equal(call_wait(one), MF_EUNKNOWN);
    assert_true(wait_up(p, false, REPLY_BOUND_MS));
    set_link(p->c, LINK_PASS);
    assert_true(wait_up(p, true, REPLY_BOUND_MS));
    assert_int_equal(join_again(p), MF_OK);
}

/* A claim whose reply is lost is unknown; asked again it is granted, with the fence that the broker
 * had already given it. */
static void lost_claim_reply_is_resolved(contract *c)
{
    peer *p = linked_and_joined(c, "a"), *by = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(by, "t");
    set_link(c, LINK_LOSE_REPLIES);
    lose_the_reply(p, start_claim(p, t, 1), by, "t", is_owned);
    assert_int_equal(claim(by, new_claim(c, "t")), MF_ETAKEN);
    assert_int_equal(claim(p, t), MF_OK);
    assert_int_equal(t->fence, lookup(by, "t")->fence);
    assert_string_equal(lookup(by, "t")->owner, "a");
}

/* A done whose reply is lost has been done; asked again, the task is gone. */
static void lost_done_reply_is_resolved(contract *c)
{
    peer *p = linked_and_joined(c, "a"), *by = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(by, "t");
    assert_int_equal(claim(p, t), MF_OK);
    set_link(c, LINK_LOSE_REPLIES);
    lose_the_reply(p, start_done(p, t, 1), by, "t", is_gone);
    assert_int_equal(done(p, t), MF_EGONE);
    assert_int_equal(count_tasks(by), 0);
}

/* A release whose reply is lost has been done; asked again it changes nothing, also when another
 * has claimed the task by then. */
static void lost_release_reply_is_resolved(contract *c)
{
    peer *p = linked_and_joined(c, "a"), *by = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(by, "t");
    assert_int_equal(claim(p, t), MF_OK);
    set_link(c, LINK_LOSE_REPLIES);
    call *one = start_release(p, t, 1);
    lose_the_reply(p, one, by, "t", is_free);
    assert_int_equal(claim(by, new_claim(c, "t")), MF_OK);
    assert_int_equal(release(p, t), MF_ELATE);
    assert_string_equal(lookup(by, "t")->owner, "b");
}

/* A submit whose reply is lost is asked again with its token, and gives the first results. */
static void lost_submit_reply_is_resolved(contract *c)
{
    peer *p = linked_and_joined(c, "a"), *by = peer_new(c, "b");
    mf_item *item = keep(c, sizeof *item);

    item->id = "t";
    set_link(c, LINK_LOSE_REPLIES);
    lose_the_reply(p, start_submit(p, "0123456789abcdef", item, 1), by, "t", is_free);
    assert_int_equal(call_wait(start_submit(p, "0123456789abcdef", item, 1)), MF_OK);
    assert_int_equal(item->result, MF_OK);
    assert_int_equal(count_tasks(by), 1);
}

/* Many requests under way when the link breaks: each is answered, none as if it had succeeded, and
 * afterwards each task is owned by this node or by nobody. */
static void cut_with_many_under_way(contract *c)
{
    enum { COUNT = 200 };
    peer *p = linked_and_joined(c, "a"), *by = peer_new(c, "b");
    mf_claim *claims = new_claims(c, "t", COUNT);
    call *calls[COUNT];

    submit_many(by, "t", COUNT);
    set_link(c, LINK_LOSE_REPLIES);
    for (size_t i = 0; i < COUNT; i++)
        calls[i] = start_claim(p, &claims[i], 1);
    await_record(by, "t0", is_owned);
    set_link(c, LINK_CUT);
    for (size_t i = 0; i < COUNT; i++) {
        int code = call_wait(calls[i]);
        assert_true(code == MF_EUNKNOWN || code == MF_EUNREACHABLE);
    }
    set_link(c, LINK_PASS);
    assert_true(wait_up(p, true, REPLY_BOUND_MS));
    assert_int_equal(join_again(p), MF_OK);
    assert_int_equal(claim_many(p, claims, COUNT), COUNT);
    assert_int_equal(node_tasks(by, "a"), COUNT);
}

/* While the link is down requests fail at once, as not carried out; the watcher hears of the loss
 * and of the return, and after the return it is told that hints may be missing. */
static void requests_fail_while_the_link_is_down(contract *c)
{
    peer *p = linked_and_joined(c, "a"), *by = peer_new(c, "b");
    unsigned resyncs = p->resyncs;

    set_link(c, LINK_CUT);
    assert_true(wait_up(p, false, REPLY_BOUND_MS));
    assert_int_equal(p->why_down, MF_EUNREACHABLE);
    int64_t began_us = mf_loop_now_us(c->loop);
    assert_int_equal(submit(p, "t"), MF_EUNREACHABLE);
    assert_true(mf_loop_now_us(c->loop) - began_us < 1000000);
    assert_int_equal(count_tasks(by), 0);
    set_link(c, LINK_PASS);
    assert_true(wait_resyncs(p, resyncs + 1, REPLY_BOUND_MS));
    assert_int_equal(submit(by, "t"), MF_OK);
    assert_true(wait_heard(p, HEARD_CLAIMABLE, "t", REPLY_BOUND_MS));
}

/* A link that swallows everything is found by the reply that is owed, within twice the reply
 * timeout, and what was asked is unknown. */
static void silent_link_is_found(contract *c)
{
    const char *url = keep_text(c, "%s?reply_timeout_ms=1000", c->fixture->link_url(c->fixture));
    peer *p = peer_ready(peer_opened(c, url, "a")), *by = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(by, "t");
    assert_int_equal(join(p), MF_OK);
    set_link(c, LINK_SILENT);
    int64_t began_us = mf_loop_now_us(c->loop);
    assert_int_equal(call_wait(start_claim(p, t, 1)), MF_EUNKNOWN);
    assert_true(mf_loop_now_us(c->loop) - began_us < 2000000);
    assert_true(wait_up(p, false, REPLY_BOUND_MS));
    assert_null(lookup(by, "t")->owner);
}

/* A link that is idle when it goes silent is found as well. */
static void silent_idle_link_is_found(contract *c)
{
    const char *url = keep_text(c, "%s?reply_timeout_ms=1000", c->fixture->link_url(c->fixture));
    peer *p = peer_ready(peer_opened(c, url, "a"));

    assert_int_equal(join(p), MF_OK);
    set_link(c, LINK_SILENT);
    assert_true(wait_up(p, false, 3000));
    assert_int_equal(p->why_down, MF_EUNREACHABLE);
}

/* A claim that the network kept back until the session had joined again is refused: here its copy
 * comes from a ghost with the former epoch, after the reply was lost. */
static void delayed_claim_is_refused_after_join(contract *c)
{
    peer *p = linked_and_joined(c, "a"), *ghost = peer_ghost(p), *by = peer_new(c, "b");
    mf_claim *t = new_claim(c, "t");

    submit(by, "t");
    set_link(c, LINK_CUT);
    assert_int_not_equal(call_wait(start_claim(p, t, 1)), MF_OK);
    set_link(c, LINK_PASS);
    assert_true(wait_up(p, true, REPLY_BOUND_MS));
    assert_int_equal(join_again(p), MF_OK);
    assert_int_equal(claim(ghost, new_claim(c, "t")), MF_ESTALE);
    assert_null(lookup(by, "t")->owner);
    assert_true(is_claimable(by, "t"));
}

/* Commands that are sent while the node's link is down are there, in order, when it is back. */
static void commands_wait_for_the_link(contract *c)
{
    peer *p = linked_and_joined(c, "a"), *by = peer_new(c, "b");

    assert_int_equal(send_command(by, "a", "\"0\""), MF_OK);
    set_link(c, LINK_CUT);
    assert_true(wait_up(p, false, REPLY_BOUND_MS));
    for (int i = 1; i < 10; i++)
        assert_int_equal(send_command(by, "a", keep_text(c, "\"%d\"", i)), MF_OK);
    set_link(c, LINK_PASS);
    assert_true(wait_up(p, true, REPLY_BOUND_MS));
    assert_int_equal(join_again(p), MF_OK);
    call *one = start_receive(p, 0, 100);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(one->request.receive.count, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(atoi(one->request.receive.commands[i].json + 1), i);
}

/* A session that was cut off for longer than its lease has lost its claims, and finds that out by
 * joining again: the former claim is late, and the name still its own. */
static void session_comes_back_after_its_lease(contract *c)
{
    peer *p = peer_linked(c, "a"), *by = peer_joined(c, "b", 10000);
    mf_claim *late = new_claim(c, "t"), *next = new_claim(c, "t");

    p->session.lease_ms = c->fixture->lease_ms;
    assert_int_equal(join(p), MF_OK);
    submit(by, "t");
    assert_int_equal(claim(p, late), MF_OK);
    set_link(c, LINK_CUT);
    assert_int_equal(claim_within(by, next, REPLY_BOUND_MS), MF_OK);
    set_link(c, LINK_PASS);
    assert_true(wait_up(p, true, REPLY_BOUND_MS));
    assert_int_equal(join_again(p), MF_OK);
    assert_int_equal(renew(p, late), MF_ELATE);
    assert_int_equal(done(p, late), MF_ELATE);
    assert_int_equal(renew(by, next), MF_OK);
}

const contract_case link_cases[] = {
    CASE_NEEDS(lost_claim_reply_is_resolved, NEEDS_LINK),
    CASE_NEEDS(lost_done_reply_is_resolved, NEEDS_LINK),
    CASE_NEEDS(lost_release_reply_is_resolved, NEEDS_LINK),
    CASE_NEEDS(lost_submit_reply_is_resolved, NEEDS_LINK),
    CASE_NEEDS(cut_with_many_under_way, NEEDS_LINK),
    CASE_NEEDS(requests_fail_while_the_link_is_down, NEEDS_LINK),
    CASE_NEEDS(silent_link_is_found, NEEDS_LINK),
    CASE_NEEDS(silent_idle_link_is_found, NEEDS_LINK),
    CASE_NEEDS(delayed_claim_is_refused_after_join, NEEDS_LINK),
    CASE_NEEDS(commands_wait_for_the_link, NEEDS_LINK),
    CASE_NEEDS(session_comes_back_after_its_lease, NEEDS_LINK),
    {0},
};
