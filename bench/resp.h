/* The least client that Redis can have: what a floor is measured with.
 *
 * One connection, commands gathered in one large buffer, replies read in large pieces and walked
 * over in place. It fails by bench_fail. */
#ifndef MF_BENCH_RESP_H
#define MF_BENCH_RESP_H

#include <stddef.h>

typedef struct resp resp;

/* redis://[user:password@]host[:port][/db] or unix:///path. */
resp *resp_open(const char *url);
void resp_close(resp *me);

/* A place in a reply. */
typedef struct resp_cursor {
    const char *at;
} resp_cursor;

/* One element: '+' '-' '$' with text, ':' with number, '*' with number (of elements that follow).
 * A nil is '_'. */
typedef struct resp_value {
    char kind;
    long long number;
    const char *text;
    size_t length;
} resp_value;

resp_value resp_next(resp_cursor *cursor);
/* The next element, which must be a bulk string or an integer, as a number. */
long long resp_next_number(resp_cursor *cursor);
/* Passes over the next element and all that is in it. */
void resp_pass(resp_cursor *cursor);

/* Appends a command, to be sent by resp_exchange. */
void resp_begin(resp *me, size_t count);
void resp_argument(resp *me, const char *text, size_t length);
void resp_number(resp *me, long long number);

typedef void (*resp_fn)(resp_cursor reply, void *arg);

/* Sends what was appended and reads replies, calling fn for each, until at most `leave` are owed.
 * An error reply ends the run. */
void resp_exchange(resp *me, size_t leave, resp_fn fn, void *arg);

/* One command and its reply, valid until the next call. */
resp_cursor resp_call(resp *me, size_t count, const char *const *arguments);
/* One command whose reply must be OK. */
void resp_expect_ok(resp *me, size_t count, const char *const *arguments);

#endif
