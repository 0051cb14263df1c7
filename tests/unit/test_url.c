/* URLs: their parts, each rule with a URL that breaks it, and the query parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <metafora/driver.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

typedef struct good_case {
    const char *text;
    const char *scheme, *user, *password;
    size_t host_count;
    const char *host; /* the last one */
    int port;
    const char *path;
    size_t query_count;
} good_case;

static const good_case good_cases[] = {
    {"redis://localhost", "redis", NULL, NULL, 1, "localhost", 0, "", 0},
    {"REDIS://Host:6379/0", "redis", NULL, NULL, 1, "Host", 6379, "/0", 0},
    {"rediss://u:p@h:1/2?a=b&c=", "rediss", "u", "p", 1, "h", 1, "/2", 2},
    {"redis://:secret@h", "redis", NULL, "secret", 1, "h", 0, "", 0},
    {"redis://user@h", "redis", "user", NULL, 1, "h", 0, "", 0},
    {"redis://user:@h", "redis", "user", "", 1, "h", 0, "", 0},
    {"redis://u:a@b:c@h:7", "redis", "u", "a@b:c", 1, "h", 7, "", 0},
    {"redis://u%40x:%2f%3F%23%25%ff@h", "redis", "u@x", "/?#%\xff", 1, "h", 0, "", 0},
    {"redis://u%39@h:10", "redis", "u9", NULL, 1, "h", 10, "", 0},
    {"AZ://h", "az", NULL, NULL, 1, "h", 0, "", 0},
    {"az+-.0189://h", "az+-.0189", NULL, NULL, 1, "h", 0, "", 0},
    {"etcd://[fe80::1%251]", "etcd", NULL, NULL, 1, "fe80::1%1", 0, "", 0},
    {"redis+sentinel://a:1,b,c:65535/main", "redis+sentinel", NULL, NULL, 3, "c", 65535, "/main",
     0},
    {"etcd://[::1]:2379,[fe80::1%25eth0]", "etcd", NULL, NULL, 2, "fe80::1%eth0", 0, "", 0},
    {"redis://[::ffff:10.0.0.1]:1?x=1", "redis", NULL, NULL, 1, "::ffff:10.0.0.1", 1, "", 1},
    {"unix:///run/redis%20x/s.sock?db=3", "unix", NULL, NULL, 0, NULL, 0, "/run/redis x/s.sock", 1},
    {"unix://u:p@/s", "unix", "u", "p", 0, NULL, 0, "/s", 0},
    {"embedded://", "embedded", NULL, NULL, 0, NULL, 0, "", 0},
    {"embedded://caf\xc3\xa9", "embedded", NULL, NULL, 1, "caf\xc3\xa9", 0, "", 0},
    {"a://?", "a", NULL, NULL, 0, NULL, 0, "", 0},
    {"a://h?a=1&", "a", NULL, NULL, 1, "h", 0, "", 1},
};

static void assert_text(const char *expected, const char *actual)
{
    if (expected == NULL)
        assert_null(actual);
    else
        assert_string_equal(actual, expected);
}

/* Every form of URL comes out in its parts, decoded. */
static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good_cases); i++) {
        const good_case *c = &good_cases[i];
        mf_url url;
        mf_error error = {0};
        if (mf_url_parse(&url, c->text, &error) != MF_OK)
            fail_msg("%s: %s", c->text, error.text);
        assert_text(c->scheme, url.scheme);
        assert_text(c->user, url.user);
        assert_text(c->password, url.password);
        assert_int_equal(url.host_count, c->host_count);
        assert_text(c->host, c->host_count != 0 ? url.hosts[c->host_count - 1].host : NULL);
        assert_int_equal(c->host_count != 0 ? url.hosts[c->host_count - 1].port : 0, c->port);
        assert_text(c->path, url.path);
        assert_int_equal(url.query_count, c->query_count);
        mf_url_clear(&url);
    }
}

/* Query parameters are decoded, and '+' is a plus sign. */
static void test_query(void **state)
{
    mf_url url;

    (void)state;
    assert_int_equal(mf_url_parse(&url, "a://h/?one=%41+b%3d&two=x=y", NULL), MF_OK);
    assert_string_equal(url.query[0].key, "one");
    assert_string_equal(url.query[0].value, "A+b=");
    assert_string_equal(url.query[1].value, "x=y");
    mf_url_clear(&url);
}

typedef struct bad_case {
    const char *text, *error;
} bad_case;

#define AT_SIGN "'@' after the host"
#define PORT "url: port: not a number from 1 to 65535"
#define IPV6 "url: host: not an IPv6 address in brackets"
#define ESCAPE "'%' without two hexadecimal digits"

static const bad_case bad_cases[] = {
    {NULL, "url: missing"},
    {"", "url: empty"},
    {"localhost", "url: not of the form scheme://..."},
    {"localhost:6379", "url: not of the form scheme://..."},
    {"redis:/h", "url: not of the form scheme://..."},
    {"://h", "url: scheme: empty"},
    {"1a://h", "url: scheme: letters"},
    {"re_dis://h", "url: scheme: letters"},
    {"a!://h", "url: scheme: letters"},
    {"a{://h", "url: scheme: letters"},
    {"redis://h h", "url: contains a space or a control byte at byte 9"},
    {"redis://h\n", "url: contains a space or a control byte at byte 9"},
    {"redis://h\x7f", "url: contains a space or a control byte at byte 9"},
    {"redis://:7000", "url: host: empty"},
    {"redis://a,,b", "url: host: empty"},
    {"redis://a,", "url: host: empty"},
    {"redis://,", "url: host: empty"},
    {"redis://h:", PORT},
    {"redis://h:0", PORT},
    {"redis://h:65536", PORT},
    {"redis://h:655350", PORT},
    {"redis://h:4294967297", PORT},
    {"redis://h:99999999999999999999", PORT},
    {"redis://h:+1", PORT},
    {"redis://h:1x", PORT},
    {"redis://h:-1", PORT},
    {"redis://h:1-", PORT},
    {"redis://::1", "url: host: an IPv6 address needs brackets"},
    {"redis://a:1:2", "url: host: an IPv6 address needs brackets"},
    {"redis://[::1", "url: host: ']' is missing"},
    {"redis://[::1]x", "url: host: only a port may follow ']'"},
    {"redis://[h]", IPV6},
    {"redis://[]", IPV6},
    {"redis://[1.2.3.4]", IPV6},
    {"redis://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", IPV6},
    {"redis://[fe80::1%eth0]", "url: host: the zone of an IPv6 address is written %25ZONE"},
    {"redis://[fe80::1%25]", "url: host: the zone of an IPv6 address is written %25ZONE"},
    {"redis://a]b", "url: host: '[' and ']' are for IPv6 addresses"},
    {"redis://a[b", "url: host: '[' and ']' are for IPv6 addresses"},
    {"redis://a%2fb", "url: host: contains a space or '/'"},
    {"redis://%", "url: host: " ESCAPE},
    {"redis://%4", "url: host: " ESCAPE},
    {"redis://%g0", "url: host: " ESCAPE},
    {"redis://%`0", "url: host: " ESCAPE},
    {"redis://%00", "url: host: %00 is not allowed"},
    {"redis://a%0ab", "url: host: control bytes or invalid UTF-8"},
    {"redis://\xff", "url: host: control bytes or invalid UTF-8"},
    {"redis://us%ff@h", "url: user: control bytes or invalid UTF-8"},
    {"redis://us%er@h", "url: user: " ESCAPE},
    {"redis://u:hunter2%zz@h", "url: password: " ESCAPE},
    {"redis://u:hunter2%00@h", "url: password: %00 is not allowed"},
    {"redis://h/%01", "url: path: control bytes or invalid UTF-8"},
    {"redis://h/%c0%af", "url: path: control bytes or invalid UTF-8"},
    {"redis://h/%", "url: path: " ESCAPE},
    {"redis://h#f", "url: fragment: '#' is not allowed"},
    {"redis://h?a=1#", "url: fragment: '#' is not allowed"},
    {"redis://h?a", "url: query: a parameter is not of the form name=value"},
    {"redis://h?a=1&&b=1", "url: query: a parameter is not of the form name=value"},
    {"redis://h?=1", "url: query: a name is letters"},
    {"redis://h?a%20b=1", "url: query: a name is letters"},
    {"redis://h?a=%ff", "url: query: control bytes or invalid UTF-8"},
    {"redis://h?a=1&b=2&a=3", "url: query: a parameter is given twice"},
    {"redis://u:hunter2/@h", AT_SIGN},
    {"redis://u:hunter2?x@h", AT_SIGN},
    {"redis://u:hunter2?x=1@h", AT_SIGN},
    {"redis://u:hunter2#x@h", AT_SIGN},
    {"redis://u:1/hunter2@h", AT_SIGN},
    {"redis://u:hunter2", PORT},
};

/* Each bad URL is refused with a text that names the part and the rule, and nothing is left to
 * free. No text repeats a password, also not one that was cut by an unescaped '/'. */
static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_cases); i++) {
        mf_url url;
        mf_error error = {0};
        if (mf_url_parse(&url, bad_cases[i].text, &error) != MF_EINVAL)
            fail_msg("accepted: %s", bad_cases[i].text);
        assert_int_equal(error.code, MF_EINVAL);
        if (strstr(error.text, bad_cases[i].error) == NULL)
            fail_msg("%s: %s", bad_cases[i].text, error.text);
        assert_null(strstr(error.text, "hunter2"));
        assert_null(url.block);
    }
}

/* A URL of any bytes is no longer than the limit, and has no more parameters than the limit. */
static void test_limits(void **state)
{
    char text[9000];
    mf_url url;
    mf_error error;
    size_t length = (size_t)sprintf(text, "a://h?");

    (void)state;
    for (int i = 0; i < 65; i++)
        length += (size_t)sprintf(text + length, "k%d=&", i);
    assert_int_equal(mf_url_parse(&url, text, &error), MF_EINVAL);
    assert_string_equal(error.text, "url: query: more than 64 parameters");
    memset(text, 'x', sizeof text);
    memcpy(text, "a://", 4);
    text[8192] = '\0';
    assert_int_equal(mf_url_parse(&url, text, &error), MF_OK);
    mf_url_clear(&url);
    text[8192] = 'x';
    text[8193] = '\0';
    assert_int_equal(mf_url_parse(&url, text, &error), MF_EINVAL);
    assert_string_equal(error.text, "url: longer than 8192 bytes");
}

/* The parameters that every broker has are applied over what the options held before. */
static void test_options(void **state)
{
    static const char *const also[] = {"db", NULL};
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_url url;

    (void)state;
    options.reply_timeout_ms = 7;
    options.connect_timeout_ms = 8;
    assert_int_equal(
        mf_url_parse(&url,
                     "a://h?connect_timeout_ms=250&wait_replicas=2&db=1&max_crashes=-1&"
                     "tls_ca_file=/ca&tls_cert_file=/cert&tls_key_file=/key",
                     NULL),
        MF_OK);
    assert_int_equal(mf_broker_options_from_url(&options, &url, also, NULL), MF_OK);
    assert_int_equal(options.connect_timeout_ms, 250);
    assert_int_equal(options.reply_timeout_ms, 7);
    assert_int_equal(options.wait_replicas, 2);
    assert_int_equal(options.max_crashes, -1);
    assert_string_equal(options.tls_ca_file, "/ca");
    assert_string_equal(options.tls_cert_file, "/cert");
    assert_string_equal(options.tls_key_file, "/key");
    mf_url_clear(&url);
}

#define TIMEOUT "connect_timeout_ms: not a number from 1 to 3600000"

static const bad_case bad_options[] = {
    {"a://h?db=1", "url: query: 'db' is not known"},
    {"a://h?tls_insecure=1", "url: query: 'tls_insecure' is not known"},
    {"a://h?connect_timeout_ms=", TIMEOUT},
    {"a://h?connect_timeout_ms=0", TIMEOUT},
    {"a://h?connect_timeout_ms=3600001", TIMEOUT},
    {"a://h?connect_timeout_ms=-5", TIMEOUT},
    {"a://h?connect_timeout_ms=+5", TIMEOUT},
    {"a://h?connect_timeout_ms=%205", TIMEOUT},
    {"a://h?connect_timeout_ms=5s", TIMEOUT},
    {"a://h?connect_timeout_ms=1e3", TIMEOUT},
    {"a://h?connect_timeout_ms=99999999999999999999", TIMEOUT},
    {"a://h?reply_timeout_ms=x", "reply_timeout_ms: not a number from 1 to 3600000"},
    {"a://h?max_crashes=--1", "max_crashes: not a number from -1 to 1000"},
    {"a://h?max_crashes=-2", "max_crashes: not a number from -1 to 1000"},
    {"a://h?wait_replicas=101", "wait_replicas: not a number from 0 to 100"},
    {"a://h?tls_ca_file=", "tls_ca_file: empty"},
    {"a://h?tls_cert_file=/x", "tls_key_file: missing, tls_cert_file needs it"},
    {"a://h?tls_key_file=/x", "tls_cert_file: missing, tls_key_file needs it"},
};

/* A parameter that is not known or out of range is refused by its name and rule. */
static void test_bad_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_options); i++) {
        mf_broker_options options = MF_BROKER_OPTIONS_INIT;
        mf_error error = {0};
        mf_url url;
        assert_int_equal(mf_url_parse(&url, bad_options[i].text, NULL), MF_OK);
        assert_int_equal(mf_broker_options_from_url(&options, &url, NULL, &error), MF_EINVAL);
        assert_string_equal(error.text, bad_options[i].error);
        mf_url_clear(&url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_query),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_options), cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
