/* Memory that is out, in the client: each of its allocations in a story fails in turn, alone or
 * together with all that follow for a while. A call is refused with MF_ENOMEM, or it is called back
 * once, well or with that error. On the embedded broker in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster.h"
#include "faults.h"

/* Of the calls that were taken; called back. */
static int taken, answered, refused;

static void note_answer(const mf_error *error)
{
    answered++;
    if (error != NULL)
        assert_int_equal(error->code, MF_ENOMEM);
}

static void on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg)
{
    (void)items;
    (void)count;
    (void)arg;
    note_answer(error);
}

static void on_tasks(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                     void *arg)
{
    (void)tasks;
    (void)count;
    (void)arg;
    if (last || error != NULL)
        note_answer(error);
}

static void on_nodes(const mf_error *error, const mf_node *nodes, size_t count, void *arg)
{
    (void)nodes;
    (void)count;
    (void)arg;
    note_answer(error);
}

static void on_placement(const mf_error *error, const mf_placement *placement, void *arg)
{
    (void)placement;
    (void)arg;
    note_answer(error);
}

static void on_states(const mf_error *error, const mf_state_record *records, size_t count,
                      bool last, void *arg)
{
    (void)records;
    (void)count;
    (void)arg;
    if (last || error != NULL)
        note_answer(error);
}

static void on_result(const mf_error *error, void *arg)
{
    (void)arg;
    note_answer(error);
}

static void note(int code)
{
    if (code == MF_OK)
        taken++;
    else
        refused++;
    assert_true(code == MF_OK || code == MF_ENOMEM);
}

static void call_everything(mf_client *client)
{
    static const char *const ids[] = {"1", "2", "3"};
    static const mf_task_spec tasks[] = {{.id = "1"}, {.id = "2", .properties = "{}"}, {.id = "3"}};
    mf_message message = mf_message_of(MF_MESSAGE_PAUSE);
    mf_command command = {.verb = MF_COMMAND_BALANCE};

    note(mf_client_submit(client, tasks, 3, on_items, NULL, NULL));
    note(mf_client_tell(client, ids, 3, &message, on_items, NULL, NULL));
    note(mf_client_tasks(client, on_tasks, NULL, NULL));
    note(mf_client_lookup(client, ids, 3, on_tasks, NULL, NULL));
    note(mf_client_nodes(client, on_nodes, NULL, NULL));
    note(mf_client_explain(client, "2", 0, on_placement, NULL, NULL));
    note(mf_client_command(client, "a", &command, on_result, NULL, NULL));
    note(mf_client_states(client, UINT32_MAX, on_states, NULL, NULL));
    note(mf_client_lookup_states(client, ids, 3, on_states, NULL, NULL));
    note(mf_client_revive(client, tasks, 3, on_items, NULL, NULL));
    note(mf_client_erase(client, ids, 3, on_items, NULL, NULL));
    note(mf_client_remove(client, ids, 3, on_items, NULL, NULL));
}

static bool tell(size_t first, size_t count)
{
    cluster *c = cluster_new(first);
    mf_client *client = NULL;

    taken = answered = 0;
    faults_arm(first, count);
    int code = mf_client_open(&client, c->client_broker, NULL);
    if (code == MF_OK)
        call_everything(client);
    else
        assert_int_equal(code, MF_ENOMEM);
    cluster_run_ms(c, 60000);
    bool reached = faults_disarm();
    assert_int_equal(answered, taken);
    if (code == MF_OK)
        mf_client_close(client);
    cluster_free(c);
    return reached;
}

static void every_call(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 5; count += 4) {
        size_t n = 1;
        refused = 0;
        while (tell(n, count))
            n++;
        assert_true(n > 12);
        assert_true(refused >= 12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
