/* describe: INFO. */
#include "internal.h"

static void write_describe(mf_redis *redis, mf_request *head)
{
    (void)head;
    mf__redis_text(redis, "INFO");
}

static void read_describe(mf_redis *redis, mf_request *head, const mf_value *answer)
{
    mf_describe_request *request = (mf_describe_request *)head;

    if (answer->type != MF_VALUE_STRING)
        mf__redis_misunderstood(redis, head);
    else
        request->text = answer->text;
}

static const mf_operation describe_operation = {
    .what = "describe",
    .write = write_describe,
    .read = read_describe,
};

void mf__redis_describe(mf_broker *broker, mf_describe_request *request)
{
    mf__redis_submit((mf_redis *)broker, &request->request, &describe_operation);
}
