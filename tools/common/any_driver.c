/* The driver of programs that have several, and choose one by the URL when they open it. */
#include <metafora/driver.h>
#include <metafora/etcd.h>
#include <metafora/redis.h>

static int open_any(mf_broker **out, const char *url, const mf_broker_options *options,
                    mf_loop *loop, mf_error *error)
{
    const mf_driver *const drivers[] = {&mf_redis_driver, &mf_etcd_driver, NULL};
    return mf_broker_open_any(out, url, options, loop, drivers, error);
}

static const char *const schemes[] = {
    "redis",         "rediss",         "unix", "redis+sentinel", "rediss+sentinel",
    "redis+cluster", "rediss+cluster", "etcd", "etcds",          NULL};

static const mf_driver any_driver = {
    .version = MF_DRIVER_VERSION,
    .name = "any",
    .schemes = schemes,
    .default_url = "redis://127.0.0.1:6379",
    .open = open_any,
};

const mf_driver *const mf_linked_driver = &any_driver;
