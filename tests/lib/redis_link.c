/* A handle of the Redis driver and the servers that it is tried on. */
#include "redis_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/redis.h>

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    redis_link *f = arg;

    (void)level;
    (void)subsystem;
    f->lines++;
    if (strlen(f->log) + strlen(text) + 2 < sizeof f->log)
        strcat(strcat(f->log, text), "\n");
    f->warnings += strstr(text, "tasks will be lost on a restart") != NULL;
}

int redis_link_setup(void **state)
{
    redis_link *f = calloc(1, sizeof *f);

    assert_int_equal(mf_loop_new(&f->loop, NULL), MF_OK);
    mf_loop_set_log(f->loop, on_log, f, MF_LOG_WARN);
    f->options = (mf_broker_options)MF_BROKER_OPTIONS_INIT;
    f->options.name_space = "t";
    f->options.reply_timeout_ms = 2000;
    f->session = driver_session("a", 'a', 15000);
    *state = f;
    return 0;
}

int redis_link_teardown(void **state)
{
    redis_link *f = *state;

    driver_close(&f->handle);
    mf_loop_free(f->loop);
    if (f->proxy != NULL)
        proxy_free(f->proxy);
    redis_server_free(f->server);
    redis_server_free(f->other);
    redis_sentinels_free(f->sentinels);
    redis_cluster_free(f->cluster);
    free(f);
    return 0;
}

void redis_link_start(redis_link *f, const char *config, const char *password)
{
    redis_server_options options = {.config = config, .password = password};

    f->server = redis_server_start(&options);
}

int redis_link_ask(redis_link *f, const char *url)
{
    driver_close(&f->handle);
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    return driver_submit(&f->handle, "s", "x", NULL);
}

void redis_link_join(redis_link *f, const char *url)
{
    assert_int_equal(driver_open(&f->handle, &mf_redis_driver, f->loop, url, &f->options), MF_OK);
    driver_watch(&f->handle, &f->session);
    assert_int_equal(f->handle.ups, 1);
    assert_int_equal(driver_join(&f->handle, &f->session), MF_OK);
}

unsigned redis_link_logged(const redis_link *f, const char *text)
{
    unsigned count = 0;

    for (const char *at = f->log; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

void redis_link_assert_says(const redis_link *f, const char *text)
{
    if (strstr(f->handle.error.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", f->handle.error.text, text);
}
