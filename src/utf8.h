/* UTF-8, one sequence at a time. */
#ifndef MF_UTF8_H
#define MF_UTF8_H

#include <stddef.h>

/* Length of the well-formed sequence at `at` (1-4), or 0: overlong forms, surrogates and what is
 * above U+10FFFF are not well-formed (Unicode 15, table 3-7). */
static inline size_t mf__utf8_sequence(const unsigned char *at, const unsigned char *end)
{
    unsigned char first = *at;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t length;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if ((size_t)(end - at) < length || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

#endif
