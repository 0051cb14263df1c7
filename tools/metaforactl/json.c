/* Writing JSON. */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(to, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            fprintf(to, "\\u%04x", *text);
        else
            fputc(*text, to);
    }
    fputc('"', to);
}

static void begin_value(json *out, const char *key)
{
    if (out->follows)
        fputc(',', out->to);
    out->follows = true;
    if (key != NULL) {
        put_string(out->to, key);
        fputc(':', out->to);
    }
}

void json_open(json *out, const char *key, char bracket)
{
    begin_value(out, key);
    fputc(bracket, out->to);
    out->follows = false;
}

void json_close(json *out, char bracket)
{
    fputc(bracket, out->to);
    out->follows = true;
}

void json_line(json *out)
{
    fputc('\n', out->to);
    out->follows = false;
}

void json_text(json *out, const char *key, const char *text)
{
    begin_value(out, key);
    if (text != NULL)
        put_string(out->to, text);
    else
        fputs("null", out->to);
}

void json_count(json *out, const char *key, uint64_t number)
{
    begin_value(out, key);
    fprintf(out->to, "%" PRIu64, number);
}

void json_number(json *out, const char *key, double number)
{
    begin_value(out, key);
    if (isfinite(number))
        fprintf(out->to, "%.10g", number);
    else
        fputs("null", out->to);
}

void json_flag(json *out, const char *key, bool flag)
{
    begin_value(out, key);
    fputs(flag ? "true" : "false", out->to);
}

void json_raw(json *out, const char *key, const char *text)
{
    begin_value(out, key);
    for (; text != NULL && *text != '\0'; text++)
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out->to);
}
