/* Migration between two Redis servers: live with nodes at work, and offline; there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <metafora/redis.h>

#include "migrate_story.h"
#include "redis_server.h"

static redis_server *servers[2];
static migrate_end ends[2];

static int setup(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        servers[side] = redis_server_start(NULL);
        ends[side] = (migrate_end){&mf_redis_driver, servers[side]->url};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++)
        redis_server_free(servers[side]);
    return 0;
}

/* Running tasks move to the other server and back: none is lost, none runs twice, fences rise. */
static void running_tasks_move(void **state)
{
    (void)state;
    migrate_story_live(ends, 1000);
}

/* Waiting tasks do so too, each copy compared with its original. */
static void waiting_tasks_move(void **state)
{
    (void)state;
    migrate_story_offline(ends, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(running_tasks_move, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_tasks_move, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
