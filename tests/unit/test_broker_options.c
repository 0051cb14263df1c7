/* Opening a broker: options refused by field and rule, the driver chosen by scheme. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/consumer.h>
#include <metafora/driver.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* A driver that keeps what it was opened with. */
static const char *opened_url;
static mf_broker_options opened_options;
static int closed_count;

static void close_recorded(mf_broker *broker, void (*closed)(void *arg), void *arg)
{
    (void)broker;
    (void)closed;
    (void)arg;
    closed_count++;
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .close = close_recorded,
};
static const mf_driver recorder;
static mf_broker recorded = {.driver = &recorder, .operations = &operations};

static int open_recorded(mf_broker **out, const char *url, const mf_broker_options *options,
                         mf_loop *loop, mf_error *error)
{
    (void)loop;
    (void)error;
    opened_url = url;
    opened_options = *options;
    *out = &recorded;
    return MF_OK;
}

static const char *const schemes[] = {"rec", "recs", NULL};
static const mf_driver recorder = {
    .version = MF_DRIVER_VERSION,
    .name = "recorder",
    .schemes = schemes,
    .default_url = "rec://default",
    .open = open_recorded,
};
static const char *const future_schemes[] = {"future", NULL};
static const mf_driver future = {
    .version = MF_DRIVER_VERSION + 1,
    .name = "future",
    .schemes = future_schemes,
    .default_url = "future://",
    .open = open_recorded,
};
static const mf_driver *const drivers[] = {&recorder, &future, NULL};
static char some_loop;

static int open_with(const char *url, const mf_broker_options *options, mf_error *error)
{
    mf_broker *broker;
    opened_url = NULL;
    return mf_broker_open_any(&broker, url, options, (mf_loop *)(void *)&some_loop, drivers, error);
}

static mf_broker_options usual(void)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    options.name_space = "ns";
    return options;
}

/* An options struct made by its INIT macro has the version that this library expects, and zero in
 * all other fields. */
static void test_versions(void **state)
{
    mf_broker_options broker = MF_BROKER_OPTIONS_INIT;
    mf_consumer_options consumer = MF_CONSUMER_OPTIONS_INIT;
    mf_consumer_statistics statistics = MF_CONSUMER_STATISTICS_INIT;
    mf_broker_options no_broker;
    mf_consumer_options no_consumer;

    (void)state;
    assert_int_equal(broker.version, MF_BROKER_OPTIONS_VERSION);
    assert_int_equal(consumer.version, MF_CONSUMER_OPTIONS_VERSION);
    assert_int_equal(statistics.version, MF_CONSUMER_STATISTICS_VERSION);
    memset(&no_broker, 0, sizeof no_broker);
    memset(&no_consumer, 0, sizeof no_consumer);
    no_broker.version = MF_BROKER_OPTIONS_VERSION;
    no_consumer.version = MF_CONSUMER_OPTIONS_VERSION;
    assert_memory_equal(&broker, &no_broker, sizeof broker);
    assert_memory_equal(&consumer, &no_consumer, sizeof consumer);
}

/* Defaults are filled in before the driver sees the options, and what is set stays. */
static void test_defaults(void **state)
{
    mf_broker_options options = usual();

    (void)state;
    options.reply_timeout_ms = 77;
    assert_int_equal(open_with("recs://h", &options, NULL), MF_OK);
    assert_string_equal(opened_url, "recs://h");
    assert_int_equal(opened_options.connect_timeout_ms, 5000);
    assert_int_equal(opened_options.reply_timeout_ms, 77);
    assert_string_equal(opened_options.name_space, "ns");
}

/* Without a URL the first driver's default is opened. */
static void test_default_url(void **state)
{
    mf_broker_options options = usual();

    (void)state;
    assert_int_equal(open_with(NULL, &options, NULL), MF_OK);
    assert_string_equal(opened_url, "rec://default");
}

typedef struct url_case {
    const char *url, *error;
} url_case;

static const url_case url_cases[] = {
    {"other://h",
     "url: scheme: this program has no driver for 'other', only recorder, future; link "
     "that driver's library instead, or open the broker with several"},
    {"future://h", "driver future: version: 2 is not supported"},
    {"rec:h", "url: not of the form scheme://..."},
    {"rec://h:hunter2", "url: port: not a number from 1 to 65535"},
};

/* A URL that no driver can open is refused, without its text in the error. */
static void test_bad_urls(void **state)
{
    mf_broker_options options = usual();

    (void)state;
    for (size_t i = 0; i < COUNT(url_cases); i++) {
        mf_error error = {0};
        assert_int_equal(open_with(url_cases[i].url, &options, &error), MF_EINVAL);
        assert_string_equal(error.text, url_cases[i].error);
        assert_null(opened_url);
    }
}

typedef struct options_case {
    mf_broker_options options;
    const char *error;
} options_case;

static const options_case options_cases[] = {
    {{.version = 0, .name_space = "ns"},
     "broker options: version: 0 is not known, begin with MF_BROKER_OPTIONS_INIT"},
    {{.version = 99, .name_space = "ns"},
     "broker options: version: 99 is not known, begin with MF_BROKER_OPTIONS_INIT"},
    {MF_BROKER_OPTIONS_INIT, "name_space: missing"},
    {{.version = 1, .name_space = ""}, "name_space: empty"},
    {{.version = 1, .name_space = "a/b"}, "name_space: contains '/'"},
    {{.version = 1, .name_space = "a\tb"}, "name_space: contains a control byte"},
    {{.version = 1, .name_space = "a\xff"}, "name_space: not valid UTF-8"},
    {{.version = 1, .name_space = "a{b"}, "name_space: contains '{' or '}'"},
    {{.version = 1, .name_space = "a}"}, "name_space: contains '{' or '}'"},
    {{.version = 1, .name_space = "ns", .connect_timeout_ms = -1},
     "connect_timeout_ms: not a number from 1 to 3600000"},
    {{.version = 1, .name_space = "ns", .reply_timeout_ms = 3600001},
     "reply_timeout_ms: not a number from 1 to 3600000"},
    {{.version = 1, .name_space = "ns", .wait_replicas = -1},
     "wait_replicas: not a number from 0 to 100"},
    {{.version = 1, .name_space = "ns", .connect_timeout_ms = 3600001},
     "connect_timeout_ms: not a number from 1 to 3600000"},
    {{.version = 1, .name_space = "ns", .reply_timeout_ms = -1},
     "reply_timeout_ms: not a number from 1 to 3600000"},
    {{.version = 1, .name_space = "ns", .wait_replicas = 101},
     "wait_replicas: not a number from 0 to 100"},
    {{.version = 1, .name_space = "ns", .max_crashes = -2},
     "max_crashes: not a number from -1 to 1000"},
    {{.version = 1, .name_space = "ns", .max_crashes = 1001},
     "max_crashes: not a number from -1 to 1000"},
    {{.version = 1, .name_space = "ns", .tls_ca_file = ""}, "tls_ca_file: empty"},
    {{.version = 1, .name_space = "ns", .tls_cert_file = "", .tls_key_file = "k"},
     "tls_cert_file: empty"},
    {{.version = 1, .name_space = "ns", .tls_cert_file = "c", .tls_key_file = ""},
     "tls_key_file: empty"},
    {{.version = 1, .name_space = "ns", .tls_cert_file = "c"},
     "tls_key_file: missing, tls_cert_file needs it"},
    {{.version = 1, .name_space = "ns", .tls_key_file = "k"},
     "tls_cert_file: missing, tls_key_file needs it"},
};

/* Each bad option is refused by the name of its field and the rule, before a driver is asked. */
static void test_bad_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(options_cases); i++) {
        mf_error error = {0};
        assert_int_equal(open_with("rec://h", &options_cases[i].options, &error), MF_EINVAL);
        assert_string_equal(error.text, options_cases[i].error);
        assert_null(opened_url);
    }
}

/* What is just within the bounds is taken. */
static void test_bounds(void **state)
{
    static const mf_broker_options good[] = {
        {.version = 1, .name_space = "ns", .connect_timeout_ms = 1, .reply_timeout_ms = 1},
        {.version = 1,
         .name_space = "ns",
         .connect_timeout_ms = 3600000,
         .reply_timeout_ms = 3600000,
         .wait_replicas = 100,
         .max_crashes = 1000},
        {.version = 1, .name_space = "ns", .max_crashes = -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(open_with("rec://h", &good[i], NULL), MF_OK);
}

/* No options and no loop are refused like any other bad argument. */
static void test_missing_arguments(void **state)
{
    mf_broker_options options = usual();
    mf_broker *broker = NULL;
    mf_error error = {0};

    (void)state;
    assert_int_equal(open_with("rec://h", NULL, &error), MF_EINVAL);
    assert_string_equal(error.text, "broker options: missing");
    assert_int_equal(mf_broker_open_any(&broker, "rec://h", &options, NULL, drivers, &error),
                     MF_EINVAL);
    assert_string_equal(error.text, "loop: missing");
}

static void on_message(mf_task *task, uint64_t number, const char *json, size_t length,
                       void *payload)
{
    (void)task;
    (void)number;
    (void)json;
    (void)length;
    (void)payload;
}

static mf_outcome run(mf_task *task, void *payload)
{
    (void)task;
    (void)payload;
    return MF_DONE;
}

/* A consumer opens its URL among the drivers that it is given, and closes what it opened when the
 * rest fails: this driver keeps no states. */
static void test_consumer_drivers(void **state)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_consumer *consumer = NULL;
    mf_error error = {0};

    (void)state;
    assert_int_equal(mf_loop_new(&options.loop, NULL), MF_OK);
    options.drivers = drivers;
    options.broker = "recs://h";
    options.name_space = "ns";
    options.handler = mf_blocking_handler(run, NULL);
    options.handler.message = on_message;
    opened_url = NULL;
    closed_count = 0;
    assert_int_equal(mf_consumer_open(&consumer, &options, &error), MF_ENOTSUP);
    assert_string_equal(error.text, "handler: the recorder driver keeps no states of tasks");
    assert_string_equal(opened_url, "recs://h");
    assert_string_equal(opened_options.name_space, "ns");
    assert_int_equal(closed_count, 1);
    mf_loop_free(options.loop);
}

/* Close is the driver's. */
static void test_close(void **state)
{
    (void)state;
    closed_count = 0;
    mf_broker_close(&recorded, NULL, NULL);
    assert_int_equal(closed_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_default_url),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_missing_arguments),
        cmocka_unit_test(test_consumer_drivers),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
