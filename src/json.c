/* Strict JSON: one pass over the text, its open arrays and objects kept as bits. */
#include "json.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "utf8.h"

typedef struct scanner {
    const unsigned char *at, *end;
    const char *why;
    mf_json_rule rule;
    unsigned depth;
    uint64_t objects[MF_JSON_DEPTH / 64]; /* bit n: level n is an object, else an array */
} scanner;

/* Bytes that stand for themselves in a string. */
static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static bool fail(scanner *s, const char *why)
{
    s->why = why;
    return false;
}

static void skip_space(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

static bool is_digit(const scanner *s)
{
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool digits(scanner *s)
{
    if (!is_digit(s))
        return fail(s, "a digit is missing in a number");
    while (is_digit(s))
        s->at++;
    return true;
}

static bool number(scanner *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0') {
        s->at++;
        if (is_digit(s))
            return fail(s, "a number begins with 0");
    } else if (!digits(s)) {
        return false;
    }
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return digits(s);
    }
    return true;
}

/* Four hexadecimal digits; -1: they are not there. */
static int hex4(scanner *s)
{
    int code = 0;

    if (s->end - s->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char byte = s->at[i];
        unsigned char lower = byte | 0x20;
        if (byte >= '0' && byte <= '9')
            code = code << 4 | (byte - '0');
        else if (lower >= 'a' && lower <= 'f')
            code = code << 4 | (lower - 'a' + 10);
        else
            return -1;
    }
    s->at += 4;
    return code;
}

/* What follows \u. */
static bool unicode_escape(scanner *s)
{
    int code = hex4(s);
    if (code < 0)
        return fail(s, "\\u without four hexadecimal digits");
    if (s->rule == MF_JSON_ANY)
        return true;
    if (code == 0)
        return fail(s, "\\u0000 in a string");
    if (code < 0xd800 || code > 0xdfff)
        return true;
    if (code < 0xdc00 && s->end - s->at >= 2 && memcmp(s->at, "\\u", 2) == 0) {
        s->at += 2;
        code = hex4(s);
        if (code >= 0xdc00 && code <= 0xdfff)
            return true;
    }
    return fail(s, "half of a surrogate pair in a string");
}

/* The text after a backslash. */
static bool escape(scanner *s)
{
    if (s->at == s->end || *s->at == '\0' || strchr("\"\\/bfnrtu", *s->at) == NULL)
        return fail(s, "an unknown escape in a string");
    return *s->at++ != 'u' || unicode_escape(s);
}

static bool string(scanner *s)
{
    for (s->at++;;) {
        while (s->at < s->end && is_plain(*s->at))
            s->at++;
        if (s->at == s->end)
            return fail(s, "a string does not end");
        if (*s->at == '"') {
            s->at++;
            return true;
        }
        if (*s->at == '\\') {
            s->at++;
            if (!escape(s))
                return false;
        } else if (*s->at < 0x20) {
            return fail(s, "a control byte in a string");
        } else {
            size_t length = mf__utf8_sequence(s->at, s->end);
            if (length == 0)
                return fail(s, "a string is not valid UTF-8");
            s->at += length;
        }
    }
}

static bool word(scanner *s, const char *text, size_t length)
{
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, text, length) != 0)
        return fail(s, "a value is expected");
    s->at += length;
    return true;
}

static bool scalar(scanner *s)
{
    switch (*s->at) {
    case '"':
        return string(s);
    case 't':
        return word(s, "true", 4);
    case 'f':
        return word(s, "false", 5);
    case 'n':
        return word(s, "null", 4);
    default:
        if (*s->at == '-' || is_digit(s))
            return number(s);
        return fail(s, "a value is expected");
    }
}

static bool in_object(const scanner *s)
{
    unsigned level = s->depth - 1;
    return (s->objects[level / 64] >> (level % 64)) & 1;
}

static bool open_level(scanner *s, bool object)
{
    if (s->depth == MF_JSON_DEPTH)
        return fail(s, "nested more than 512 deep");
    unsigned level = s->depth++;
    uint64_t bit = UINT64_C(1) << (level % 64);
    if (object)
        s->objects[level / 64] |= bit;
    else
        s->objects[level / 64] &= ~bit;
    s->at++;
    skip_space(s);
    return true;
}

/* A member's name and the colon, up to its value. */
static bool name(scanner *s)
{
    if (s->at == s->end || *s->at != '"')
        return fail(s, "a member's name is expected");
    if (!string(s))
        return false;
    skip_space(s);
    if (s->at == s->end || *s->at != ':')
        return fail(s, "a colon is expected");
    s->at++;
    skip_space(s);
    return true;
}

/* Closes what ends here; false at the end of the text (why is NULL) or when it is wrong. */
static bool after_value(scanner *s)
{
    for (;;) {
        skip_space(s);
        if (s->depth == 0) {
            if (s->at != s->end)
                s->why = "text after the value";
            return false;
        }
        bool object = in_object(s);
        if (s->at == s->end)
            return fail(s, object ? "an object does not end" : "an array does not end");
        if (*s->at == ',') {
            s->at++;
            skip_space(s);
            return !object || name(s);
        }
        if (*s->at != (object ? '}' : ']'))
            return fail(s, object ? "',' or '}' is expected" : "',' or ']' is expected");
        s->at++;
        s->depth--;
    }
}

/* One value, or the opening of one: true when a value (the first one inside) is to follow. */
static bool value(scanner *s)
{
    if (s->at == s->end)
        return fail(s, "a value is expected");
    if (*s->at != '{' && *s->at != '[')
        return scalar(s) && after_value(s);
    bool object = *s->at == '{';
    if (!open_level(s, object))
        return false;
    if (s->at < s->end && *s->at == (object ? '}' : ']')) {
        s->at++;
        s->depth--;
        return after_value(s);
    }
    return !object || name(s);
}

const char *mf__json_check(const char *text, size_t length, mf_json_rule rule, size_t *where)
{
    const unsigned char *start = (const unsigned char *)text;
    scanner s = {.at = start, .end = start + length, .rule = rule};

    skip_space(&s);
    while (value(&s))
        ;
    if (where != NULL)
        *where = (size_t)(s.at - start);
    return s.why;
}
