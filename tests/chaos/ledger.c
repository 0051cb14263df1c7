/* What the tasks' own processes say of themselves: a file that all of them map. */
#include "ledger.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LINES_MOST = 1 << 16, TASKS_MOST = 1 << 15 };

struct ledger_line {
    history_life life;     /* the constant part; complete when `known` is set */
    _Atomic int64_t known; /* when it began */
    _Atomic int64_t alive_us, told_us, ended_us, refused_us, met_us;
};

typedef struct pages {
    _Atomic uint32_t used;
    _Atomic uint32_t let_go;
    _Atomic uint64_t fences[TASKS_MOST]; /* the highest of each task */
    ledger_line lines[LINES_MOST];
} pages;

struct ledger {
    int file;
    pages *pages;
};

int64_t ledger_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static ledger *map(int file)
{
    ledger *book = calloc(1, sizeof *book);

    if (file < 0 || book == NULL) {
        free(book);
        return NULL;
    }
    book->file = file;
    book->pages = mmap(NULL, sizeof *book->pages, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (book->pages == MAP_FAILED) {
        close(file);
        free(book);
        return NULL;
    }
    return book;
}

ledger *ledger_new(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (file >= 0 && ftruncate(file, sizeof(pages)) != 0) {
        close(file);
        return NULL;
    }
    return map(file);
}

ledger *ledger_open(const char *path)
{
    return map(open(path, O_RDWR | O_CLOEXEC));
}

void ledger_close(ledger *book)
{
    if (book == NULL)
        return;
    munmap(book->pages, sizeof *book->pages);
    close(book->file);
    free(book);
}

/* The kernel gives the lock back when the process is gone, however it went. Asked for at each
 * beat: a process that met another one holds it as soon as that is gone. */
static void take_lock(ledger *book, ledger_line *line)
{
    struct flock wanted = {.l_type = F_WRLCK, .l_start = line->life.number, .l_len = 1};

    if (fcntl(book->file, F_SETLK, &wanted) == 0 || line->met_us != 0)
        return;
    fcntl(book->file, F_GETLK, &wanted);
    line->life.met_pid = wanted.l_type != F_UNLCK ? wanted.l_pid : 0;
    line->met_us = ledger_now_us();
}

static void present_fence(ledger *book, ledger_line *line)
{
    _Atomic uint64_t *highest = &book->pages->fences[line->life.number];
    uint64_t seen = atomic_load(highest);

    while (seen < line->life.fence)
        if (atomic_compare_exchange_weak(highest, &seen, line->life.fence))
            return;
    if (seen > line->life.fence && line->refused_us == 0)
        line->refused_us = ledger_now_us();
}

ledger_line *ledger_begin(ledger *book, const history_life *life)
{
    if (life->number >= TASKS_MOST)
        return NULL;
    uint32_t place = atomic_fetch_add(&book->pages->used, 1);
    if (place >= LINES_MOST)
        return NULL;
    ledger_line *line = &book->pages->lines[place];
    line->life = *life;
    line->life.started_us = ledger_now_us();
    line->alive_us = line->life.started_us;
    line->known = line->life.started_us;
    ledger_beat(book, line);
    return line;
}

void ledger_beat(ledger *book, ledger_line *line)
{
    take_lock(book, line);
    present_fence(book, line);
    line->alive_us = ledger_now_us();
}

void ledger_told(ledger_line *line)
{
    if (line->told_us == 0)
        line->told_us = ledger_now_us();
}

void ledger_end(ledger_line *line)
{
    line->ended_us = line->alive_us = ledger_now_us();
}

void ledger_let_go(ledger *book)
{
    book->pages->let_go = 1;
}

bool ledger_may_end(const ledger *book)
{
    return book->pages->let_go != 0;
}

history_life *ledger_read(const ledger *book, size_t *count)
{
    uint32_t used = book->pages->used < LINES_MOST ? book->pages->used : LINES_MOST;
    history_life *lives = calloc(used + 1, sizeof *lives);

    *count = 0;
    for (uint32_t i = 0; lives != NULL && i < used; i++) {
        const ledger_line *line = &book->pages->lines[i];
        if (line->known == 0)
            continue; /* it died before it had begun */
        history_life *life = &lives[(*count)++];
        *life = line->life;
        life->alive_us = line->alive_us;
        life->told_us = line->told_us;
        life->ended_us = line->ended_us;
        life->refused_us = line->refused_us;
        life->met_us = line->met_us;
    }
    return lives;
}
