/* Taking back crashes: a session that lapsed has come back, so its process did not die.
 *
 * A join tells that tasks were charged with its lapse. They are pardoned page by page, beside all
 * else that the session does; what a lost link leaves, the next join tells again. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { PAGE = 256 }; /* tasks a script */

typedef struct pardon {
    mf_request request; /* first */
    mf_redis *redis;
    bool more;
    char token[];
} pardon;

static void write_pardon(mf_redis *redis, mf_request *head)
{
    mf__redis_keys(redis, head, NULL, ((const pardon *)head)->token);
    mf__redis_channel(redis);
    mf__redis_number(redis, PAGE);
}

static void read_pardon(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    if (answer->type != MF_VALUE_INTEGER)
        mf__redis_misunderstood(redis, head);
    else
        ((pardon *)head)->more = answer->integer > 0;
}

static const mf_operation pardon_operation = {
    .what = "take back crashes",
    .script = &mf__script_pardon,
    .write = write_pardon,
    .read = read_pardon,
};

static void ask_page(pardon *p)
{
    p->more = false;
    mf__redis_submit(p->redis, &p->request, &pardon_operation);
}

static void on_page(mf_request *head)
{
    pardon *p = (pardon *)head;

    if (head->error.code == MF_OK && p->more)
        ask_page(p);
    else
        free(p);
}

void mf__pardon(mf_redis *redis, const char *token)
{
    pardon *p = calloc(1, sizeof *p + strlen(token) + 1);

    if (p == NULL)
        return; /* the next join tells again */
    strcpy(p->token, token);
    p->request.done = on_page;
    p->redis = redis;
    ask_page(p);
}
