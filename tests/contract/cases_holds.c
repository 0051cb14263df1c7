/* The operations of a migration: a task that is held, copied, dropped and freed is claimable in at
 * most one place, whatever becomes of the migrator. */
#include "contract.h"

static const char migration[] = "00112233445566778899aabbccddeeff";
static const char another[] = "ffeeddccbbaa99887766554433221100";

static const mf_broker_operations *ops(const peer *p)
{
    return p->broker->operations;
}

/* For one task: the request's code when that is not MF_OK, else the task's. */
static int step(peer *p, holds_slot slot, const char *by, mf_hold *hold)
{
    int code = call_wait(start_holds(p, slot, by, hold, 1));
    return code != MF_OK ? code : hold->result;
}

static int hold(peer *p, mf_hold *hold)
{
    return step(p, ops(p)->hold, migration, hold);
}

static int copy(peer *p, mf_hold *hold)
{
    return step(p, ops(p)->copy, migration, hold);
}

static int drop(peer *p, mf_hold *hold)
{
    return step(p, ops(p)->drop, migration, hold);
}

static int free_hold(peer *p, mf_hold *hold)
{
    return step(p, ops(p)->free, migration, hold);
}

static int items(peer *p, items_slot slot, const char *id, const char *text)
{
    mf_item item = {.id = id, .properties = text};
    int code = call_wait(start_items(p, slot, NULL, &item, 1));
    return code != MF_OK ? code : item.result;
}

static int mark(peer *p, mf_mark_phase phase, const char *by)
{
    mf_mark mark = {.phase = phase, .url = "redis://elsewhere:6379"};
    strcpy(mark.migration, by);
    return call_wait(start_mark(p, &mark));
}

/* A held task has an owner for everyone: it cannot be claimed, forgotten or held by another
 * migration, and its owner is not a session that could end. */
static void held_task_has_an_owner(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000), *b = peer_joined(c, "b", 10000);
    mf_hold t = {.id = "t"}, again = {.id = "t"};

    assert_int_equal(submit(b, "t"), MF_OK);
    assert_int_equal(hold(m, &t), MF_OK);
    assert_true(t.fence > 0);
    assert_int_equal(claim(b, new_claim(c, "t")), MF_ETAKEN);
    assert_int_equal(claim(m, new_claim(c, "t")), MF_ETAKEN);
    assert_false(is_claimable(b, "t"));
    assert_int_equal(items(b, ops(b)->forget, "t", NULL), MF_EMOVED);
    assert_int_equal(remove_task(b, "t"), MF_EMOVED);
    assert_int_equal(submit(b, "t"), MF_EEXISTS);
    assert_string_equal(lookup(b, "t")->owner, MF_HOLD_NODE);
    assert_true(lookup(b, "t")->fence == t.fence);
    assert_int_equal(hold(m, &again), MF_OK);
    assert_true(again.fence == t.fence);
    assert_int_equal(step(b, ops(b)->hold, another, &again), MF_ETAKEN);
    assert_int_equal(leave(m), MF_OK);
    assert_int_equal(claim(b, new_claim(c, "t")), MF_ETAKEN);
}

/* Freed, it can be claimed, with a fence above the hold's; a second time there is nothing to free.
 */
static void freed_task_can_be_claimed(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000), *b = peer_joined(c, "b", 10000);
    mf_hold t = {.id = "t"};
    mf_claim *first = new_claim(c, "t"), *second = new_claim(c, "t");

    submit(b, "t");
    assert_int_equal(claim(b, first), MF_OK);
    assert_int_equal(hold(m, &t), MF_ETAKEN);
    assert_int_equal(release(b, first), MF_OK);
    assert_int_equal(hold(m, &t), MF_OK);
    assert_true(t.fence > first->fence);
    assert_int_equal(renew(b, first), MF_ELATE);
    assert_int_equal(step(m, ops(m)->free, another, &t), MF_EGONE);
    assert_int_equal(free_hold(m, &t), MF_OK);
    assert_int_equal(free_hold(m, &t), MF_EGONE);
    assert_true(is_claimable(b, "t"));
    assert_int_equal(claim(b, second), MF_OK);
    assert_true(second->fence > t.fence);
}

static void no_task_no_hold(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold t = {.id = "t"};

    assert_int_equal(hold(m, &t), MF_EGONE);
    t.fence = 7;
    assert_int_equal(drop(m, &t), MF_EGONE);
    assert_int_equal(free_hold(m, &t), MF_EGONE);
}

/* A copy is a whole task that is held, and is claimable once it is freed, with a fence that is
 * higher than any of the broker that it came from. */
static void copied_task_is_whole(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000), *b = peer_joined(c, "b", 10000);
    mf_hold t = {.id = "t",
                 .fence = UINT64_C(1900000000000000),
                 .properties = "{\"a\":1}",
                 .state = "{\"state\":1}",
                 .message = "{\"message\":1}",
                 .crashes = 2},
            seen = {.id = "t"};
    mf_claim *claimed = new_claim(c, "t");

    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(claim(b, claimed), MF_ETAKEN);
    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(hold(m, &seen), MF_OK);
    assert_true(seen.fence == t.fence);
    assert_string_equal(seen.properties, "{\"a\":1}");
    assert_string_equal(seen.state, "{\"state\":1}");
    assert_string_equal(seen.message, "{\"message\":1}");
    assert_true(seen.message_number > 0);
    assert_int_equal(seen.crashes, 2);
    assert_false(seen.set_aside);
    assert_int_equal(seen.delay_us, 0);
    assert_int_equal(free_hold(m, &t), MF_OK);
    assert_true(wait_heard(b, HEARD_CLAIMABLE, "t", REPLY_BOUND_MS));
    assert_int_equal(claim(b, claimed), MF_OK);
    assert_true(claimed->fence > t.fence);
    assert_string_equal(claimed->properties, "{\"a\":1}");
}

/* A second copy takes the place of the first; a task that the migration does not hold is left. */
static void copy_replaces_its_own_only(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold t = {.id = "t", .fence = 5, .properties = "1", .state = "{\"a\":1}"};
    mf_hold u = {.id = "u", .fence = 5, .properties = "1"}, seen = {.id = "t"};

    submit(m, "u");
    assert_int_equal(copy(m, &u), MF_EEXISTS);
    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(step(m, ops(m)->copy, another, &t), MF_EEXISTS);
    t = (mf_hold){.id = "t", .fence = 6, .properties = "2"};
    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(hold(m, &seen), MF_OK);
    assert_true(seen.fence == 6);
    assert_string_equal(seen.properties, "2");
    assert_null(seen.state);
    assert_int_equal(count_tasks(m), 2);
}

/* A dropped task is gone with its state, and a note says so until that is freed. */
static void drop_leaves_a_note(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold t = {.id = "t", .fence = 5, .state = "{\"a\":1}"}, stale = {.id = "t", .fence = 4};

    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(drop(m, &stale), MF_ELATE);
    assert_int_equal(step(m, ops(m)->drop, another, &t), MF_ELATE);
    assert_int_equal(drop(m, &t), MF_OK);
    assert_int_equal(drop(m, &t), MF_OK);
    assert_int_equal(count_tasks(m), 0);
    call *page = start_holds_page(m, "", 10);
    assert_int_equal(call_wait(page), MF_OK);
    assert_int_equal(page->request.holds_page.count, 1);
    assert_string_equal(page->request.holds_page.holds[0].id, "t");
    assert_int_equal(page->request.holds_page.holds[0].stage, MF_HOLD_DROPPED);
    assert_true(page->request.holds_page.holds[0].fence == 5);
    assert_string_equal(page->request.holds_page.holds[0].migration, migration);
    assert_int_equal(free_hold(m, &t), MF_OK);
    assert_int_equal(free_hold(m, &t), MF_EGONE);
    assert_int_equal(drop(m, &t), MF_EGONE);
    page = start_holds_page(m, "", 10);
    assert_int_equal(call_wait(page), MF_OK);
    assert_int_equal(page->request.holds_page.count, 0);
}

/* A message that came after the task was read is not dropped with it. */
static void drop_loses_no_message(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold t = {.id = "t"}, again = {.id = "t"};

    submit(m, "t");
    assert_int_equal(hold(m, &t), MF_OK);
    assert_true(t.message_number == 0);
    assert_int_equal(items(m, ops(m)->tell, "t", "{\"message\":1}"), MF_OK);
    assert_int_equal(drop(m, &t), MF_ESTALE);
    assert_int_equal(hold(m, &again), MF_OK);
    assert_string_equal(again.message, "{\"message\":1}");
    t.message_number = UINT64_MAX;
    assert_int_equal(drop(m, &t), MF_OK);
    submit(m, "u");
    t = again = (mf_hold){.id = "u"};
    assert_int_equal(items(m, ops(m)->tell, "u", "{}"), MF_OK);
    assert_int_equal(hold(m, &again), MF_OK);
    assert_int_equal(drop(m, &again), MF_OK);
}

/* A task that is for later stays so, held, freed or copied. */
static void delay_stays(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_item later = {.id = "t", .delay_us = 3600000000};
    mf_hold t = {.id = "t"}, u = {.id = "u", .fence = 5, .delay_us = 3600000000},
            seen = {.id = "u"};

    assert_int_equal(call_wait(start_submit(m, NULL, &later, 1)), MF_OK);
    assert_int_equal(hold(m, &t), MF_OK);
    assert_in_range(t.delay_us, 3500000000, 3600000000 + 10000);
    assert_int_equal(free_hold(m, &t), MF_OK);
    assert_int_equal(claim(m, new_claim(c, "t")), MF_ETAKEN);
    assert_int_equal(copy(m, &u), MF_OK);
    assert_int_equal(hold(m, &seen), MF_OK);
    assert_in_range(seen.delay_us, 3500000000, 3600000000 + 10000);
    assert_int_equal(free_hold(m, &u), MF_OK);
    assert_int_equal(claim(m, new_claim(c, "u")), MF_ETAKEN);
    assert_int_equal(count_claimable(m), 0);
}

/* A delay that ends while the task is held does not make it claimable; freed, it is so at once. */
static void delay_may_end_under_a_hold(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_item soon = {.id = "t", .delay_us = 300000};
    mf_hold t = {.id = "t"};

    assert_int_equal(call_wait(start_submit(m, NULL, &soon, 1)), MF_OK);
    assert_int_equal(hold(m, &t), MF_OK);
    pass_time(c, 800);
    assert_false(is_claimable(m, "t"));
    assert_int_equal(claim(m, new_claim(c, "t")), MF_ETAKEN);
    assert_int_equal(free_hold(m, &t), MF_OK);
    assert_int_equal(claim(m, new_claim(c, "t")), MF_OK);
}

/* What was set aside is so at the other broker, until it is forgotten. */
static void set_aside_stays(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold t = {.id = "t", .fence = 5, .crashes = 5, .set_aside = true}, seen = {.id = "t"};

    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(free_hold(m, &t), MF_OK);
    assert_int_equal(claim(m, new_claim(c, "t")), MF_ETAKEN);
    assert_true(lookup(m, "t")->set_aside);
    assert_int_equal(hold(m, &seen), MF_OK);
    assert_true(seen.set_aside);
    assert_int_equal(seen.crashes, 5);
    assert_int_equal(free_hold(m, &seen), MF_OK);
    assert_int_equal(items(m, ops(m)->forget, "t", NULL), MF_OK);
    assert_int_equal(claim(m, new_claim(c, "t")), MF_OK);
}

/* The state of a task that is gone goes on its own, never over another one. */
static void orphan_state_moves(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold t = {.id = "t", .state = "{\"a\":1}", .orphan = true};
    mf_hold other = {.id = "t", .state = "{\"a\":2}", .orphan = true};

    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(copy(m, &other), MF_EEXISTS);
    assert_int_equal(count_tasks(m), 0);
    submit(m, "t");
    assert_int_equal(drop(m, &t), MF_EEXISTS);
    assert_int_equal(remove_task(m, "t"), MF_OK);
    assert_int_equal(drop(m, &t), MF_OK);
    assert_int_equal(copy(m, &other), MF_OK);
}

/* Pages show each hold once. */
static void holds_come_in_pages(contract *c)
{
    enum { COUNT = 150 };
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold *all = keep(c, COUNT * sizeof *all);
    bool seen[COUNT] = {false};
    const char *cursor = "";
    size_t total = 0;

    submit_many(m, "t", COUNT);
    for (int i = 0; i < COUNT; i += 50) {
        for (int j = i; j < i + 50; j++)
            all[j].id = keep_text(c, "t%d", j);
        assert_int_equal(call_wait(start_holds(m, ops(m)->hold, migration, all + i, 50)), MF_OK);
    }
    do {
        call *page = start_holds_page(m, cursor, 40);
        assert_int_equal(call_wait(page), MF_OK);
        for (size_t i = 0; i < page->request.holds_page.count; i++) {
            const mf_hold *one = &page->request.holds_page.holds[i];
            assert_int_equal(one->stage, MF_HOLD_HELD);
            total += !seen[atoi(one->id + 1)];
            seen[atoi(one->id + 1)] = true;
        }
        cursor = page->request.holds_page.cursor;
    } while (*cursor != '\0');
    assert_int_equal(total, COUNT);
}

/* A migrator whose process stood still changes nothing any more. */
static void late_migrator_is_refused(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_hold t = {.id = "t", .fence = 5};

    assert_int_equal(copy(m, &t), MF_OK);
    assert_int_equal(join_again(m), MF_OK);
    m->session.epoch--;
    assert_int_equal(free_hold(m, &t), MF_ESTALE);
    assert_int_equal(hold(m, &t), MF_ESTALE);
    assert_int_equal(copy(m, &t), MF_ESTALE);
    assert_int_equal(drop(m, &t), MF_ESTALE);
    assert_int_equal(mark(m, MF_MARK_MOVING, migration), MF_ESTALE);
    m->session.epoch++;
    assert_int_equal(leave(m), MF_OK);
    assert_int_equal(free_hold(m, &t), MF_ENOSESSION);
    assert_int_equal(claim(peer_joined(c, "b", 10000), new_claim(c, "t")), MF_ETAKEN);
}

/* What is asked of a namespace that moves fails by an error that says where to. */
static void moved_namespace_says_so(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_item item = {.id = "v"};

    submit(m, "t");
    assert_int_equal(mark(m, MF_MARK_PART, migration), MF_OK);
    assert_int_equal(submit(m, "u"), MF_OK);
    assert_int_equal(mark(m, MF_MARK_MOVING, migration), MF_OK);
    call *refused = start_submit(m, NULL, &item, 1);
    assert_int_equal(call_wait(refused), MF_EMOVED);
    assert_non_null(strstr(refused->request.head.error.text, "redis://elsewhere:6379"));
    assert_int_equal(items(m, ops(m)->tell, "t", "{}"), MF_EMOVED);
    assert_int_equal(send_command(m, "b", "{}"), MF_EMOVED);
    assert_int_equal(remove_task(m, "t"), MF_OK);
    assert_int_equal(remove_task(m, "t"), MF_EMOVED);
    assert_int_equal(items(m, ops(m)->forget, "t", NULL), MF_EMOVED);
    assert_int_equal(claim(m, new_claim(c, "u")), MF_OK);
    call *moved = start_moved(m);
    assert_int_equal(call_wait(moved), MF_OK);
    assert_int_equal(moved->request.mark.mark.phase, MF_MARK_MOVING);
    assert_string_equal(moved->request.mark.mark.url, "redis://elsewhere:6379");
    assert_string_equal(moved->request.mark.mark.migration, migration);
}

/* One migration at a time; a mark that says that all is done can be replaced. */
static void mark_of_one_migration(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);

    assert_int_equal(call_wait(start_moved(m)), MF_OK);
    assert_int_equal(mark(m, MF_MARK_MOVING, migration), MF_OK);
    assert_int_equal(mark(m, MF_MARK_MOVING, another), MF_EEXISTS);
    assert_int_equal(mark(m, MF_MARK_NONE, another), MF_EEXISTS);
    assert_int_equal(mark(m, MF_MARK_MOVED, migration), MF_OK);
    assert_int_equal(mark(m, MF_MARK_NONE, another), MF_OK);
    assert_int_equal(submit(m, "t"), MF_OK);
}

/* A submit that had been carried out before the namespace moved is answered as it was. */
static void submit_before_the_mark_counts(contract *c)
{
    peer *m = peer_joined(c, MF_HOLD_NODE, 10000);
    mf_item item = {.id = "t"}, again = {.id = "t"};

    assert_int_equal(call_wait(start_submit(m, "0123456789abcdef", &item, 1)), MF_OK);
    assert_int_equal(mark(m, MF_MARK_MOVING, migration), MF_OK);
    assert_int_equal(call_wait(start_submit(m, "0123456789abcdef", &again, 1)), MF_OK);
    assert_int_equal(again.result, MF_OK);
}

#define HOLDS(function) CASE_NEEDS(function, NEEDS_HOLDS)

const contract_case hold_cases[] = {
    HOLDS(held_task_has_an_owner),
    HOLDS(freed_task_can_be_claimed),
    HOLDS(no_task_no_hold),
    HOLDS(copied_task_is_whole),
    HOLDS(copy_replaces_its_own_only),
    HOLDS(drop_leaves_a_note),
    HOLDS(drop_loses_no_message),
    HOLDS(delay_stays),
    HOLDS(delay_may_end_under_a_hold),
    HOLDS(set_aside_stays),
    HOLDS(orphan_state_moves),
    HOLDS(holds_come_in_pages),
    HOLDS(late_migrator_is_refused),
    HOLDS(moved_namespace_says_so),
    HOLDS(mark_of_one_migration),
    HOLDS(submit_before_the_mark_counts),
    {NULL, NULL, 0},
};
