/* Requests as bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"

enum { HEAD_BYTES = 24 }; /* "$<length>\r\n", and the line end behind the part */

void mf__parts_clear(mf_parts *parts)
{
    parts->length = parts->count = 0;
    parts->failed = false;
}

void mf__parts_free(mf_parts *parts)
{
    free(parts->data);
    *parts = (mf_parts){0};
}

static bool reserve(mf_parts *parts, size_t more)
{
    if (parts->failed)
        return false;
    if (parts->size - parts->length >= more)
        return true;
    size_t size = parts->size * 2 > parts->length + more ? parts->size * 2 : parts->length + more;
    char *data = realloc(parts->data, size);
    if (data == NULL) {
        parts->failed = true;
        return false;
    }
    parts->data = data;
    parts->size = size;
    return true;
}

static char *put_decimal(char *to, uint64_t number)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

static char *put_length(char *to, char mark, size_t length)
{
    *to++ = mark;
    to = put_decimal(to, length);
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

void mf__parts_add_pair(mf_parts *parts, const char *prefix, size_t prefix_length, const char *text,
                        size_t length)
{
    if (!reserve(parts, prefix_length + length + HEAD_BYTES + 2))
        return;
    char *to = put_length(parts->data + parts->length, '$', prefix_length + length);
    to = (char *)mempcpy(to, prefix, prefix_length);
    to = (char *)mempcpy(to, text, length);
    *to++ = '\r';
    *to++ = '\n';
    parts->length = (size_t)(to - parts->data);
    parts->count++;
}

void mf__parts_add(mf_parts *parts, const void *data, size_t length)
{
    mf__parts_add_pair(parts, data, length, "", 0);
}

void mf__parts_add_text(mf_parts *parts, const char *text)
{
    mf__parts_add_pair(parts, "", 0, text, strlen(text));
}

void mf__parts_add_number(mf_parts *parts, int64_t number)
{
    char text[24], *end = text;

    if (number < 0)
        *end++ = '-';
    end = put_decimal(end, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
    mf__parts_add(parts, text, (size_t)(end - text));
}

int mf__parts_send(const mf_parts *head, const mf_parts *parts, struct evbuffer *output)
{
    char count[HEAD_BYTES];
    struct evbuffer_iovec to;
    size_t counted = (size_t)(put_length(count, '*', head->count + parts->count) - count);
    size_t length = counted + head->length + parts->length;

    if (head->failed || parts->failed ||
        evbuffer_reserve_space(output, (ev_ssize_t)length, &to, 1) != 1)
        return MF_ENOMEM;
    char *end = (char *)mempcpy(to.iov_base, count, counted);
    if (head->length > 0)
        end = (char *)mempcpy(end, head->data, head->length);
    if (parts->length > 0)
        memcpy(end, parts->data, parts->length);
    to.iov_len = length;
    return evbuffer_commit_space(output, &to, 1) == 0 ? MF_OK : MF_ENOMEM;
}
