/* Commands reach a live node at least once and in order (G6). */
#include "contract.h"

static void expect_commands(call *one, const char *const *texts, size_t count)
{
    const mf_receive_request *got = &one->request.receive;

    assert_int_equal(call_wait(one), MF_OK);
    assert_int_equal(got->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(got->commands[i].json, texts[i]);
        assert_int_equal(got->commands[i].length, strlen(texts[i]));
        if (i > 0)
            assert_true(got->commands[i].sequence > got->commands[i - 1].sequence);
    }
}

static const char *const texts[] = {"{\"command\":\"freeze\"}", "{\"command\":\"unfreeze\"}",
                                    "{\"command\":\"balance\",\"parameters\":{}}"};

static void send_all(peer *p, const char *node)
{
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(send_command(p, node, texts[i]), MF_OK);
}

/* Commands are read in the order in which they were sent, again and again until they are
 * acknowledged, and then not any more. */
static void commands_are_read_until_acknowledged(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *sender = peer_new(c, "s");

    send_all(sender, "a");
    call *one = start_receive(a, 0, 10);
    expect_commands(one, texts, 3);
    expect_commands(start_receive(a, 0, 10), texts, 3);
    uint64_t second = one->request.receive.commands[1].sequence;
    expect_commands(start_receive(a, second, 10), texts + 2, 1);
    expect_commands(start_receive(a, second, 10), texts + 2, 1);
    expect_commands(start_receive(a, one->request.receive.commands[2].sequence, 10), NULL, 0);
    expect_commands(start_receive(a, 0, 10), NULL, 0);
}

/* Sequence numbers go on rising when all commands have been read. */
static void sequence_numbers_rise(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);
    uint64_t last = 0;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(send_command(a, "a", texts[0]), MF_OK);
        call *one = start_receive(a, last, 10);
        expect_commands(one, texts, 1);
        assert_true(one->request.receive.commands[0].sequence > last);
        last = one->request.receive.commands[0].sequence;
    }
}

/* At most as many as asked for, the first ones first. */
static void limit_gives_the_first(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);

    send_all(a, "a");
    call *one = start_receive(a, 0, 2);
    expect_commands(one, texts, 2);
    expect_commands(start_receive(a, one->request.receive.commands[1].sequence, 2), texts + 2, 1);
}

/* The node that a command is for is told that one waits; other nodes neither hear nor read it. */
static void command_is_hinted_to_its_node(contract *c)
{
    peer *a = peer_joined(c, "a", 10000), *b = peer_joined(c, "aa", 10000);

    assert_int_equal(send_command(b, "a", texts[0]), MF_OK);
    assert_true(wait_commands(a, 1, REPLY_BOUND_MS));
    assert_int_equal(b->commands, 0);
    expect_commands(start_receive(b, 0, 10), NULL, 0);
    expect_commands(start_receive(a, 0, 10), texts, 1);
}

/* Commands wait for a node that is not there yet, or not any more. */
static void commands_wait_for_the_node(contract *c)
{
    peer *sender = peer_new(c, "s");

    send_all(sender, "a");
    peer *a = peer_joined(c, "a", 10000);
    expect_commands(start_receive(a, 0, 10), texts, 3);
    assert_int_equal(leave(a), MF_OK);
    peer *again = peer_joined(c, "a", 10000);
    expect_commands(start_receive(again, 0, 10), texts, 3);
}

/* A session that another has taken the name from can neither read nor acknowledge. */
static void former_session_does_not_read(contract *c)
{
    peer *old = peer_joined(c, "a", 10000), *next = peer_new(c, "a");

    send_all(old, "a");
    assert_int_equal(call_wait(start_join(next, true)), MF_OK);
    assert_int_equal(call_wait(start_receive(old, UINT32_MAX, 10)), MF_ENOSESSION);
    expect_commands(start_receive(next, 0, 10), texts, 3);
}

/* A command of a mebibyte comes back as it was. */
static void large_command_comes_back(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);
    char *large = keep(c, (1 << 20) + 1);

    memset(large, '1', 1 << 20);
    assert_int_equal(send_command(a, "a", large), MF_OK);
    const char *one[] = {large};
    expect_commands(start_receive(a, 0, 10), one, 1);
}

/* Commands that nobody reads in ten minutes expire; later ones stay. */
static void old_commands_are_not_read(contract *c)
{
    peer *a = peer_joined(c, "a", 10000);

    assert_int_equal(send_command(a, "a", texts[0]), MF_OK);
    assert_int_equal(send_command(a, "a", texts[1]), MF_OK);
    c->fixture->age_commands(c->fixture, c->name_space, "a", MF_COMMAND_TTL_MS - 10000);
    expect_commands(start_receive(a, 0, 10), texts, 2);
    c->fixture->age_commands(c->fixture, c->name_space, "a", 10000);
    assert_int_equal(send_command(a, "a", texts[2]), MF_OK);
    expect_commands(start_receive(a, 0, 10), texts + 2, 1);
}

const contract_case command_cases[] = {
    CASE(commands_are_read_until_acknowledged),
    CASE(sequence_numbers_rise),
    CASE(limit_gives_the_first),
    CASE(command_is_hinted_to_its_node),
    CASE(commands_wait_for_the_node),
    CASE(former_session_does_not_read),
    CASE(large_command_comes_back),
    CASE_NEEDS(old_commands_are_not_read, NEEDS_TAMPER),
    {0},
};
