/* Text from elsewhere as a piece of one line. */
#include <stdio.h>
#include <string.h>

#include <metafora/log.h>

#include "utf8.h"

enum { LONGEST = 6 /* of what is written for one character */ };

/* How a character is written that is not to be shown as it is: its length, or 0 when it is. */
static int replace(char out[LONGEST + 1], const unsigned char *at, size_t length)
{
    if (length == 0 || *at < 0x20 || *at == 0x7f)
        return snprintf(out, LONGEST + 1, "\\x%02x", *at);
    if (length == 2 && at[0] == 0xc2 && at[1] < 0xa0)
        return snprintf(out, LONGEST + 1, "\\u00%02x", at[1]);
    if (length == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9))
        return snprintf(out, LONGEST + 1, "\\u20%02x", at[2] - 0x80);
    return 0;
}

size_t mf_escape(char *out, size_t size, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *end = at + strlen(text);
    size_t total = 0, kept = 0; /* kept: all that fits, up to the first that does not */

    while (at < end) {
        char other[LONGEST + 1];
        size_t length = mf__utf8_sequence(at, end);
        size_t written = (size_t)replace(other, at, length);
        const char *from = written != 0 ? other : (const char *)at;
        if (written == 0)
            written = length;
        if (kept == total && total + written < size) {
            memcpy(out + total, from, written);
            kept += written;
        }
        total += written;
        at += length != 0 ? length : 1;
    }
    if (size != 0)
        out[kept] = '\0';
    return total;
}
