/* Error codes to names and texts. */
#include <stdarg.h>
#include <stdio.h>

#include <metafora/driver.h>

const char *mf_strerror(int code)
{
    switch (code) {
    case MF_OK:
        return "success";
#define TEXT(name, value, text) \
    case name:                  \
        return text;
        MF_ERROR_MAP(TEXT)
#undef TEXT
    default:
        return "unknown error";
    }
}

const char *mf_error_name(int code)
{
    switch (code) {
    case MF_OK:
        return "MF_OK";
#define NAME(name, value, text) \
    case name:                  \
        return #name;
        MF_ERROR_MAP(NAME)
#undef NAME
    default:
        return "MF_E?";
    }
}

bool mf_error_is_transient(int code)
{
    return code < 0 && code > -20;
}

int mf_error_set(mf_error *error, int code, const char *format, ...)
{
    va_list arguments;

    if (error == NULL)
        return code;
    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return code;
}
