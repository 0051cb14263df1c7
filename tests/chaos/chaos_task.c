/* A task's own process, which tells the ledger the truth about itself:
 * chaos-task LEDGER NUMBER MILLISECONDS MANNERS
 *
 * It takes so long, for ever if that is 0, but only until the ledger lets it go. Asked to stop it
 * does so at once, or, when its manners are "stubborn", never. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"

enum { BEAT_MS = 50 };

typedef struct errand {
    ledger *book;
    ledger_line *line;
    int64_t until_us; /* 0: until it is let go */
    bool stubborn;
} errand;

static void copy(char *to, size_t size, const char *from)
{
    if (strlen(from) >= size)
        _exit(2);
    strcpy(to, from);
}

static ledger_line *begin(ledger *book, const char *number)
{
    history_life life = {.number = (uint32_t)strtoul(number, NULL, 10),
                         .fence = strtoull(getenv("METAFORA_FENCE"), NULL, 10),
                         .pid = getpid()};

    copy(life.task, sizeof life.task, getenv("METAFORA_TASK"));
    copy(life.node, sizeof life.node, getenv("METAFORA_NODE"));
    return ledger_begin(book, &life);
}

/* The signal to stop waits blocked, and is taken here only. */
static bool told_to_stop(const sigset_t *stop)
{
    const struct timespec beat = {.tv_nsec = BEAT_MS * 1000000};

    return sigtimedwait(stop, NULL, &beat) > 0;
}

/* True: its work is done. */
static bool work(const errand *e, const sigset_t *stop)
{
    for (;;) {
        if (told_to_stop(stop)) {
            ledger_told(e->line);
            if (!e->stubborn)
                return false;
        }
        ledger_beat(e->book, e->line);
        if ((e->until_us != 0 && ledger_now_us() >= e->until_us) || ledger_may_end(e->book))
            return true;
    }
}

int main(int argc, char **argv)
{
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (argc != 5 || getenv("METAFORA_TASK") == NULL || getenv("METAFORA_FENCE") == NULL ||
        getenv("METAFORA_NODE") == NULL)
        return 2;
    errand e = {.book = ledger_open(argv[1]), .stubborn = strcmp(argv[4], "stubborn") == 0};
    if (e.book == NULL || (e.line = begin(e.book, argv[2])) == NULL)
        return 75;
    int64_t ms = atoll(argv[3]);
    e.until_us = ms > 0 ? ledger_now_us() + ms * 1000 : 0;
    if (work(&e, &stop))
        ledger_end(e.line);
    return 0;
}
