/* Broker URLs: scheme://[user[:password]@]host[:port][,...][/path][?key=value&...].
 *
 * No error text repeats any part of the URL: where a password holds an unescaped '/', '?' or '#',
 * any part may be a piece of it. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "utf8.h"

enum { URL_MAX_BYTES = 8192, URL_MAX_QUERY = 64 };

/* A piece of the text. */
typedef struct span {
    const char *at, *end;
} span;

typedef enum span_rule {
    SPAN_TEXT,  /* UTF-8 without control bytes */
    SPAN_SECRET /* any byte but NUL */
} span_rule;

typedef struct builder {
    mf_url *url;
    char *next; /* free room in the block */
    mf_error *error;
} builder;

static int fail(mf_error *error, const char *part, const char *rule)
{
    return mf_error_set(error, MF_EINVAL, "url: %s: %s", part, rule);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_text(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + strlen(text);
    while (at < end) {
        size_t length = mf__utf8_sequence(at, end);
        if (length == 0 || *at < 0x20 || *at == 0x7f)
            return false;
        at += length;
    }
    return true;
}

/* Decodes a piece into the block. */
static int take(builder *b, const char **out, span from, const char *part, span_rule rule)
{
    char *to = b->next;

    for (const char *at = from.at; at < from.end; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int high = from.end - at > 2 ? hex_digit(at[1]) : -1;
        int low = high >= 0 ? hex_digit(at[2]) : -1;
        if (low < 0)
            return fail(b->error, part, "'%' without two hexadecimal digits");
        if (high == 0 && low == 0)
            return fail(b->error, part, "%00 is not allowed");
        *to++ = (char)(high << 4 | low);
        at += 2;
    }
    *to++ = '\0';
    if (rule == SPAN_TEXT && !is_text(b->next))
        return fail(b->error, part, "control bytes or invalid UTF-8");
    *out = b->next;
    b->next = to;
    return MF_OK;
}

/* The first of `bytes` in the piece, or its end. */
static const char *find(span in, const char *bytes)
{
    const char *at = in.at;
    while (at < in.end && strchr(bytes, *at) == NULL)
        at++;
    return at;
}

static int check_bytes(const char *text, mf_error *error)
{
    size_t length = strnlen(text, URL_MAX_BYTES + 1);
    if (length == 0)
        return mf_error_set(error, MF_EINVAL, "url: empty");
    if (length > URL_MAX_BYTES)
        return mf_error_set(error, MF_EINVAL, "url: longer than %d bytes", URL_MAX_BYTES);
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || *at == 0x7f)
            return mf_error_set(error, MF_EINVAL,
                                "url: contains a space or a control byte at byte %zu",
                                (size_t)(at - text));
    return MF_OK;
}

static int parse_scheme(builder *b, span *rest)
{
    const char *colon = find(*rest, ":");
    char *to = b->next;

    if (rest->end - colon < 3 || memcmp(colon, "://", 3) != 0)
        return mf_error_set(b->error, MF_EINVAL, "url: not of the form scheme://...");
    for (const char *at = rest->at; at < colon; at++) {
        char c = *at;
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!letter && (!other || at == rest->at))
            return fail(b->error, "scheme", "letters, digits, '+', '-' and '.', a letter first");
        *to++ = letter ? (char)(c | 0x20) : c;
    }
    if (colon == rest->at)
        return fail(b->error, "scheme", "empty");
    *to++ = '\0';
    b->url->scheme = b->next;
    b->next = to;
    rest->at = colon + 3;
    return MF_OK;
}

/* Up to the last '@', since passwords are often pasted in with theirs unescaped. */
static int parse_user(builder *b, span *authority)
{
    const char *at = memrchr(authority->at, '@', (size_t)(authority->end - authority->at));
    int code = MF_OK;

    if (at == NULL)
        return MF_OK;
    span user = {authority->at, at};
    const char *colon = find(user, ":");
    authority->at = at + 1;
    if (colon < at)
        code = take(b, &b->url->password, (span){colon + 1, at}, "password", SPAN_SECRET);
    user.end = colon;
    if (code == MF_OK && user.at < user.end)
        code = take(b, &b->url->user, user, "user", SPAN_TEXT);
    return code;
}

static int parse_port(builder *b, int *out, span text)
{
    int port = 0;

    for (const char *at = text.at; at < text.end && port <= 65535; at++) {
        if (*at < '0' || *at > '9')
            return fail(b->error, "port", "not a number from 1 to 65535");
        port = port * 10 + (*at - '0');
    }
    if (port < 1 || port > 65535)
        return fail(b->error, "port", "not a number from 1 to 65535");
    *out = port;
    return MF_OK;
}

/* "[address%25zone]"; `host` is what is between the brackets. */
static int parse_ipv6(builder *b, mf_url_host *out, span host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    const char *zone = find(host, "%");
    size_t length = (size_t)(zone - host.at);

    if (length >= sizeof text)
        return fail(b->error, "host", "not an IPv6 address in brackets");
    memcpy(text, host.at, length);
    text[length] = '\0';
    if (inet_pton(AF_INET6, text, address) != 1)
        return fail(b->error, "host", "not an IPv6 address in brackets");
    if (zone < host.end && (host.end - zone < 4 || memcmp(zone, "%25", 3) != 0))
        return fail(b->error, "host", "the zone of an IPv6 address is written %25ZONE");
    return take(b, &out->host, host, "host", SPAN_TEXT);
}

static int parse_name(builder *b, mf_url_host *out, span host)
{
    if (host.at == host.end)
        return fail(b->error, "host", "empty");
    if (find(host, "[]") < host.end)
        return fail(b->error, "host", "'[' and ']' are for IPv6 addresses");
    int code = take(b, &out->host, host, "host", SPAN_TEXT);
    if (code == MF_OK && strpbrk(out->host, "/ ") != NULL)
        return fail(b->error, "host", "contains a space or '/'");
    return code;
}

static int parse_host(builder *b, span text)
{
    mf_url_host *out = &b->url->hosts[b->url->host_count++];
    span host = text;
    const char *after;
    int code;

    if (text.at < text.end && *text.at == '[') {
        host.at = text.at + 1;
        host.end = find(host, "]");
        if (host.end == text.end)
            return fail(b->error, "host", "']' is missing");
        after = host.end + 1;
        code = parse_ipv6(b, out, host);
        if (code == MF_OK && after < text.end && *after != ':')
            return fail(b->error, "host", "only a port may follow ']'");
    } else {
        after = host.end = find(host, ":");
        if (after < text.end && find((span){after + 1, text.end}, ":") < text.end)
            return fail(b->error, "host", "an IPv6 address needs brackets");
        code = parse_name(b, out, host);
    }
    if (code == MF_OK && after < text.end)
        code = parse_port(b, &out->port, (span){after + 1, text.end});
    return code;
}

static int parse_hosts(builder *b, span authority)
{
    int code = MF_OK;

    if (authority.at == authority.end)
        return MF_OK;
    for (;;) {
        span host = {authority.at, find(authority, ",")};
        code = parse_host(b, host);
        if (code != MF_OK || host.end == authority.end)
            return code;
        authority.at = host.end + 1;
    }
}

static int check_key(builder *b, const char *key)
{
    size_t length = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (length == 0 || key[length] != '\0')
        return fail(b->error, "query", "a name is letters, digits, '_' and '-'");
    for (size_t i = 0; i + 1 < b->url->query_count; i++)
        if (strcmp(b->url->query[i].key, key) == 0)
            return fail(b->error, "query", "a parameter is given twice");
    return MF_OK;
}

static int parse_parameter(builder *b, span text)
{
    if (b->url->query_count == URL_MAX_QUERY)
        return fail(b->error, "query", "more than 64 parameters");
    mf_url_query *out = &b->url->query[b->url->query_count++];
    const char *equals = find(text, "=");
    if (equals == text.end)
        return fail(b->error, "query", "a parameter is not of the form name=value");
    int code = take(b, &out->key, (span){text.at, equals}, "query", SPAN_TEXT);
    if (code == MF_OK)
        code = check_key(b, out->key);
    if (code == MF_OK)
        code = take(b, &out->value, (span){equals + 1, text.end}, "query", SPAN_TEXT);
    return code;
}

static int parse_query(builder *b, span query)
{
    int code = MF_OK;

    while (code == MF_OK && query.at < query.end) {
        span parameter = {query.at, find(query, "&")};
        code = parse_parameter(b, parameter);
        query.at = parameter.end < query.end ? parameter.end + 1 : query.end;
    }
    return code;
}

/* All after the scheme. */
static int parse_rest(builder *b, span rest)
{
    span authority = {rest.at, find(rest, "/?#")};
    span tail = {authority.end, rest.end};
    span path = {tail.at, find(tail, "?#")};

    if (find(tail, "@") < tail.end)
        return mf_error_set(b->error, MF_EINVAL,
                            "url: '@' after the host: write %%2F, %%3F and %%23 for '/', '?' and "
                            "'#' in user and password, and %%40 for '@' elsewhere");
    if (find(tail, "#") < tail.end)
        return fail(b->error, "fragment", "'#' is not allowed");
    int code = parse_user(b, &authority);
    if (code == MF_OK)
        code = parse_hosts(b, authority);
    if (code == MF_OK)
        code = take(b, &b->url->path, path, "path", SPAN_TEXT);
    if (code == MF_OK && path.end < tail.end)
        code = parse_query(b, (span){path.end + 1, tail.end});
    return code;
}

static size_t count_byte(span in, char byte)
{
    size_t count = 0;
    for (const char *at = in.at; at < in.end; at++)
        count += *at == byte;
    return count;
}

/* One block: hosts, parameters, then strings. A string needs as many bytes as it has in the text
 * and one for its end, and there are at most as many strings as bytes, and the path. */
static int make_block(builder *b, span text)
{
    size_t hosts = count_byte(text, ',') + 1;
    size_t parameters = count_byte(text, '&') + 1;
    size_t room = 2 * (size_t)(text.end - text.at) + 2;
    char *block = malloc(hosts * sizeof(mf_url_host) + parameters * sizeof(mf_url_query) + room);

    if (block == NULL)
        return mf_error_set(b->error, MF_ENOMEM, "url: %s", mf_strerror(MF_ENOMEM));
    b->url->block = block;
    b->url->hosts = (mf_url_host *)block;
    memset(b->url->hosts, 0, hosts * sizeof(mf_url_host));
    b->url->query = (mf_url_query *)(b->url->hosts + hosts);
    b->next = (char *)(b->url->query + parameters);
    return MF_OK;
}

int mf_url_parse(mf_url *out, const char *text, mf_error *error)
{
    builder b = {.url = out, .error = error};
    int code;

    memset(out, 0, sizeof *out);
    if (text == NULL)
        return mf_error_set(error, MF_EINVAL, "url: missing");
    code = check_bytes(text, error);
    if (code != MF_OK)
        return code;
    span rest = {text, text + strlen(text)};
    code = make_block(&b, rest);
    if (code == MF_OK)
        code = parse_scheme(&b, &rest);
    if (code == MF_OK)
        code = parse_rest(&b, rest);
    if (code != MF_OK)
        mf_url_clear(out);
    return code;
}

void mf_url_clear(mf_url *url)
{
    if (url->block != NULL && url->password != NULL)
        explicit_bzero((char *)url->password, strlen(url->password));
    free(url->block);
    memset(url, 0, sizeof *url);
}
