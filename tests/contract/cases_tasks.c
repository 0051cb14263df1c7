/* Tasks: what is submitted is there until it is done or removed (G3, G5). */
#include "contract.h"

/* A submitted task is listed, can be claimed, and every watcher hears of it. */
static void submitted_task_is_there(contract *c)
{
    peer *a = peer_new(c, "a"), *b = peer_new(c, "b");

    assert_int_equal(submit(a, "t"), MF_OK);
    assert_int_equal(count_tasks(b), 1);
    assert_true(is_claimable(b, "t"));
    assert_int_equal(lookup(b, "t")->code, MF_OK);
    assert_null(lookup(b, "t")->owner);
    assert_int_equal(lookup(b, "t")->fence, 0);
    assert_true(wait_heard(b, HEARD_CLAIMABLE, "t", REPLY_BOUND_MS));
    assert_true(wait_heard(a, HEARD_CLAIMABLE, "t", REPLY_BOUND_MS));
}

/* A second submit of an id is told so and leaves the first one's properties. */
static void submit_of_existing_id(contract *c)
{
    peer *p = peer_new(c, "a");
    mf_item items[] = {{.id = "t", .properties = "1"}, {.id = "u", .properties = "2"}};
    mf_item again = {.id = "t", .properties = "3"};

    assert_int_equal(call_wait(start_submit(p, NULL, items, 2)), MF_OK);
    assert_int_equal(call_wait(start_submit(p, NULL, &again, 1)), MF_OK);
    assert_int_equal(again.result, MF_EEXISTS);
    assert_string_equal(lookup(p, "t")->properties, "1");
    assert_string_equal(lookup(p, "u")->properties, "2");
    assert_int_equal(count_tasks(p), 2);
}

/* Resubmitting a task that is claimed changes nothing for its owner. */
static void submit_of_claimed_id(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_claim *t = new_claim(c, "t");

    submit(p, "t");
    assert_int_equal(claim(p, t), MF_OK);
    assert_int_equal(submit(p, "t"), MF_EEXISTS);
    assert_false(is_claimable(p, "t"));
    assert_int_equal(renew(p, t), MF_OK);
}

/* A submit that comes twice with one token gives both times the results of the first. */
static void repeated_submit_gives_the_first_results(contract *c)
{
    peer *p = peer_new(c, "a");
    mf_item first[] = {{.id = "t"}, {.id = "old"}}, again[] = {{.id = "t"}, {.id = "old"}};

    submit(p, "old");
    assert_int_equal(call_wait(start_submit(p, "0123456789abcdef", first, 2)), MF_OK);
    assert_int_equal(call_wait(start_submit(p, "0123456789abcdef", again, 2)), MF_OK);
    assert_int_equal(first[0].result, MF_OK);
    assert_int_equal(first[1].result, MF_EEXISTS);
    assert_int_equal(again[0].result, MF_OK);
    assert_int_equal(again[1].result, MF_EEXISTS);
    assert_int_equal(count_tasks(p), 2);
}

/* A submit whose copy comes late does not bring back the task that was finished meanwhile. */
static void late_submit_does_not_resurrect(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_item item = {.id = "t"};
    mf_claim *t = new_claim(c, "t");

    assert_int_equal(call_wait(start_submit(p, "0123456789abcdef", &item, 1)), MF_OK);
    assert_int_equal(claim(p, t), MF_OK);
    assert_int_equal(done(p, t), MF_OK);
    assert_int_equal(call_wait(start_submit(p, "0123456789abcdef", &item, 1)), MF_OK);
    assert_int_equal(item.result, MF_OK);
    assert_int_equal(count_tasks(p), 0);
    assert_int_equal(count_claimable(p), 0);
}

/* Removing takes the task away for everybody, tells watchers, and a second time says it is gone. */
static void removed_task_is_gone(contract *c)
{
    peer *a = peer_new(c, "a"), *b = peer_new(c, "b");

    submit(a, "t");
    submit(a, "u");
    assert_int_equal(remove_task(a, "t"), MF_OK);
    assert_int_equal(remove_task(a, "t"), MF_EGONE);
    assert_true(wait_heard(b, HEARD_REMOVED, "t", REPLY_BOUND_MS));
    assert_int_equal(count_tasks(b), 1);
    assert_false(is_claimable(b, "t"));
    assert_true(is_claimable(b, "u"));
}

/* Removing a task that runs ends its owner's claim. */
static void removed_task_ends_the_claim(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_new(c, "b");
    mf_claim *t = new_claim(c, "t");

    submit(a, "t");
    assert_int_equal(claim(a, t), MF_OK);
    assert_int_equal(remove_task(b, "t"), MF_OK);
    assert_true(wait_heard(a, HEARD_REMOVED, "t", REPLY_BOUND_MS));
    assert_int_equal(renew(a, t), MF_EGONE);
    assert_int_equal(release(a, t), MF_EGONE);
    assert_int_equal(node_tasks(b, "a"), 0);
    assert_int_equal(count_tasks(b), 0);
}

/* Pages show each of many tasks once, however small they are. */
static void pages_show_each_task_once(contract *c)
{
    enum { COUNT = 2500 };
    peer *p = peer_new(c, "a");
    unsigned char seen[COUNT] = {0};
    const char *cursor = "";

    submit_many(p, "t", COUNT);
    do {
        call *one = start_tasks(p, cursor, 70);
        assert_int_equal(call_wait(one), MF_OK);
        for (size_t i = 0; i < one->request.page.count; i++)
            seen[atoi(one->request.page.records[i].id + 1)]++;
        cursor = one->request.page.cursor;
    } while (*cursor != 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(seen[i] != 0);
    assert_int_equal(count_claimable(p), COUNT);
}

/* A listing that goes on while tasks are removed still shows every task that stays. */
static void pages_while_tasks_go(contract *c)
{
    enum { COUNT = 1000 };
    peer *p = peer_new(c, "a");
    bool seen[COUNT] = {false};
    const char *cursor = "";
    int removed = 0;

    submit_many(p, "t", COUNT);
    do {
        call *one = start_tasks(p, cursor, 50);
        assert_int_equal(call_wait(one), MF_OK);
        for (size_t i = 0; i < one->request.page.count; i++)
            seen[atoi(one->request.page.records[i].id + 1)] = true;
        for (int i = 0; i < 10 && removed < COUNT; i++, removed += 2)
            assert_int_equal(remove_task(p, keep_text(c, "t%d", removed)), MF_OK);
        cursor = one->request.page.cursor;
    } while (*cursor != 0);
    for (size_t i = 1; i < COUNT; i += 2)
        assert_true(seen[i]);
}

/* Claimed tasks are listed with their owner and fence, and not among the claimable. */
static void claimed_tasks_are_listed_with_owner(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    mf_claim *t = new_claim(c, "t0");

    submit_many(p, "t", 2);
    assert_int_equal(claim(p, t), MF_OK);
    call *one = start_tasks(p, "", 100);
    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(one->request.page.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const mf_task_record *record = &one->request.page.records[i];
        bool claimed = strcmp(record->id, "t0") == 0;
        assert_int_equal(record->fence, claimed ? t->fence : 0);
        assert_true(claimed == (record->owner != NULL));
    }
    assert_int_equal(count_claimable(p), 1);
    assert_true(is_claimable(p, "t1"));
}

/* A lookup answers in the order of the question, also for what is not there. */
static void lookup_answers_in_order(contract *c)
{
    peer *p = peer_new(c, "a");
    const char *const ids[] = {"t1", "none", "t0", "t1"};

    submit_many(p, "t", 2);
    call *one = start_lookup(p, ids, 4);
    assert_int_equal(call_wait(one), MF_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(one->request.lookup.records[i].id, ids[i]);
        assert_int_equal(one->request.lookup.records[i].code, i == 1 ? MF_EGONE : MF_OK);
    }
}

/* Ids and properties of the largest size, and with every kind of character that is allowed, come
 * back as they were. */
static void ids_and_properties_come_back_whole(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    char *longest = keep(c, 256), *large = keep(c, (1 << 20) + 1);
    memset(longest, 'x', 255);
    memset(large, ' ', 1 << 20);
    memcpy(large + (1 << 20) - 2, "{}", 2);
    mf_item items[] = {
        {.id = longest, .properties = large},
        {.id = "a b:c{d}*?[e]\\\"'\xc3\xa4\xe2\x82\xac", .properties = "\"\\u0000\""},
        {.id = "-1", .properties = "[]"}};

    for (size_t i = 0; i < 3; i++) {
        mf_claim *t = new_claim(c, items[i].id);
        assert_int_equal(call_wait(start_submit(p, NULL, &items[i], 1)), MF_OK);
        assert_int_equal(items[i].result, MF_OK);
        assert_true(is_claimable(p, items[i].id));
        assert_int_equal(claim(p, t), MF_OK);
        assert_string_equal(t->properties, items[i].properties);
        assert_string_equal(lookup(p, items[i].id)->properties, items[i].properties);
        assert_int_equal(done(p, t), MF_OK);
    }
    assert_int_equal(count_tasks(p), 0);
}

/* A namespace sees nothing of another whose name begins with its own. */
static void namespaces_are_apart(contract *c)
{
    peer *p = peer_joined(c, "a", 10000);
    submit(p, "t");
    strcat(c->name_space, "x");
    peer *other = peer_joined(c, "a", 10000);

    assert_int_equal(count_tasks(other), 0);
    assert_int_equal(submit(other, "t"), MF_OK);
    assert_int_equal(submit(other, "u"), MF_OK);
    assert_int_equal(claim(other, new_claim(c, "t")), MF_OK);
    assert_int_equal(count_tasks(p), 1);
    assert_true(is_claimable(p, "t"));
    assert_int_equal(remove_task(p, "t"), MF_OK);
    assert_int_equal(count_tasks(other), 2);
}

static int submit_for_later(peer *p, const char *id, int ms)
{
    mf_item *item = keep(p->c, sizeof *item);

    *item = (mf_item){.id = id, .delay_us = ms * 1000};
    int code = call_wait(start_submit(p, keep_text(p->c, "later %s", id), item, 1));
    return code != MF_OK ? code : item->result;
}

/* A running task that is removed and submitted anew for later is claimable at that time, not when
 * its first owner lets go, however it does. */
static void new_life_for_later_keeps_its_time(contract *c)
{
    peer *p = peer_joined(c, "a", 10000), *q = peer_joined(c, "b", 10000);
    mf_claim *t = new_claim(c, "t"), *u = new_claim(c, "u");

    if (!p->broker->can_delay)
        return;
    submit(p, "t");
    submit(p, "u");
    assert_int_equal(claim(p, t), MF_OK);
    assert_int_equal(claim(p, u), MF_OK);
    assert_int_equal(remove_task(q, "t"), MF_OK);
    assert_int_equal(remove_task(q, "u"), MF_OK);
    int64_t submitted_us = mf_loop_now_us(c->loop);
    assert_int_equal(submit_for_later(q, "t", 1500), MF_OK);
    assert_int_equal(submit_for_later(q, "u", 1500), MF_OK);
    assert_int_equal(done(p, t), MF_EGONE);
    assert_int_equal(release(p, u), MF_EGONE);
    assert_int_equal(claim(q, new_claim(c, "t")), MF_ETAKEN);
    assert_int_equal(claim(q, new_claim(c, "u")), MF_ETAKEN);
    assert_int_equal(count_claimable(q), 0);
    assert_int_equal(claim_within(q, new_claim(c, "t"), 5000), MF_OK);
    assert_int_equal(claim_within(q, new_claim(c, "u"), 5000), MF_OK);
    assert_true(mf_loop_now_us(c->loop) - submitted_us >= 1500000);
}

const contract_case task_cases[] = {
    CASE(new_life_for_later_keeps_its_time),
    CASE(submitted_task_is_there),
    CASE(submit_of_existing_id),
    CASE(submit_of_claimed_id),
    CASE(repeated_submit_gives_the_first_results),
    CASE(late_submit_does_not_resurrect),
    CASE(removed_task_is_gone),
    CASE(removed_task_ends_the_claim),
    CASE(pages_show_each_task_once),
    CASE(pages_while_tasks_go),
    CASE(claimed_tasks_are_listed_with_owner),
    CASE(lookup_answers_in_order),
    CASE(ids_and_properties_come_back_whole),
    CASE(namespaces_are_apart),
    {0},
};
