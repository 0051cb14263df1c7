/* System errors as texts for people. */
#include "net/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void mf__text_copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    out[0] = (char)tolower((unsigned char)out[0]);
}

void mf__text_of_errno(char *out, size_t size, int code)
{
    const char *text = strerrordesc_np(code);

    mf__text_copy(out, size, text != NULL ? text : "unknown error");
}
