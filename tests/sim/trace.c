/* What happened, line by line: written, hashed, or neither. */
#include <inttypes.h>
#include <stdarg.h>

#include "consumer/internal.h"
#include "sim_internal.h"

/* FNV-1a. */
static uint64_t hash_text(uint64_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

void sim_trace(sim *s, const char *format, ...)
{
    char line[512];
    va_list arguments;

    if (s->over || (s->options.trace == NULL && !s->options.hash))
        return;
    int length = snprintf(line, sizeof line, "%12.6f ", (double)sim_now_us(s) / 1e6);
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    if ((size_t)length >= sizeof line)
        length = (int)sizeof line - 1;
    s->report->hash = hash_text(s->report->hash, line, (size_t)length);
    if (s->options.trace != NULL)
        fprintf(s->options.trace, "%s\n", line);
}

void trace_views(sim *s, const truth *t)
{
    for (int i = 0; i < s->options.nodes; i++) {
        mf_explanation explanation = MF_EXPLANATION_INIT;
        if (s->places[i].current == NULL)
            continue;
        mf_consumer_explain(s->places[i].current->consumer, t->id, &explanation);
        sim_trace(s, "%s: task %s is %s; %s", s->places[i].name, t->id, explanation.state,
                  explanation.balance);
    }
}
