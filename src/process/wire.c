/* Frames between the host and its guard. */
#include "process/wire.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>

int mf__frame_add(struct evbuffer *out, mf__frame_type type, const void *payload, size_t size)
{
    mf__frame_head head = {.type = type, .size = (uint32_t)size};
    /* All or nothing: half of a frame would be the beginning of the next one's. */
    if (evbuffer_expand(out, sizeof head + size) != 0)
        return -1;
    evbuffer_add(out, &head, sizeof head);
    return evbuffer_add(out, payload, size);
}

mf__frame_type mf__frame_peek(struct evbuffer *in, const void **payload, size_t *size)
{
    mf__frame_head head;

    if (evbuffer_copyout(in, &head, sizeof head) < (ev_ssize_t)sizeof head ||
        evbuffer_get_length(in) < sizeof head + head.size)
        return 0;
    unsigned char *bytes = evbuffer_pullup(in, (ev_ssize_t)(sizeof head + head.size));
    if (bytes == NULL)
        return 0;
    *payload = bytes + sizeof head;
    *size = head.size;
    return (mf__frame_type)head.type;
}

void mf__frame_drain(struct evbuffer *in, size_t size)
{
    evbuffer_drain(in, sizeof(mf__frame_head) + size);
}

void mf__end_describe(const mf__ended *end, char *text, size_t size)
{
    char how[96] = "";

    if (end->cause == END_FAILED)
        snprintf(how, sizeof how, "could not be started: %s", strerror(end->status));
    else if (end->code == CLD_EXITED)
        snprintf(how, sizeof how, "exit status %d", end->status);
    else if (end->code != 0)
        snprintf(how, sizeof how, "signal %d (%s)", end->status, strsignal(end->status));

    const char *why = end->cause == END_DEADLINE ? "lease ended"
                      : end->cause == END_GUARD  ? "guard lost"
                      : end->cause == END_HOST   ? "program gone"
                                                 : "";
    snprintf(text, size, "%s%s%s", how, *how != '\0' && *why != '\0' ? ", " : "", why);
}
