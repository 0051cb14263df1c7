/* The demo's board. */
#include "board.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <metafora/process.h>

enum { MOST_NODES = 8, LINE_SIZE = 256 };

typedef struct board_node {
    char name[32];
    size_t claimed, done, running;
    bool lost;
} board_node;

typedef struct board_task {
    char *id;
    board_node *owner; /* NULL: none has it */
    board_node *last;  /* that had it; NULL: none yet */
    bool done, taken_over;
} board_task;

struct board {
    const char *log_directory;
    bool colours;
    board_node nodes[MOST_NODES];
    size_t node_count;
    board_task *tasks;
    size_t task_count;
    int64_t lost_us, last_takeover_us;
};

board *board_new(const char *log_directory)
{
    board *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->log_directory = log_directory;
    b->colours = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    return b;
}

void board_free(board *b)
{
    for (size_t i = 0; b != NULL && i < b->task_count; i++)
        free(b->tasks[i].id);
    free(b != NULL ? b->tasks : NULL);
    free(b);
}

int board_add_node(board *b, const char *name)
{
    if (b->node_count == MOST_NODES)
        return -1;
    board_node *node = &b->nodes[b->node_count++];
    snprintf(node->name, sizeof node->name, "%s", name);
    return 0;
}

int board_add_task(board *b, const char *id)
{
    board_task *larger = realloc(b->tasks, (b->task_count + 1) * sizeof *larger);
    if (larger == NULL)
        return -1;
    b->tasks = larger;
    b->tasks[b->task_count] = (board_task){.id = strdup(id)};
    return b->tasks[b->task_count++].id != NULL ? 0 : -1;
}

static board_node *find_node(const board *b, const char *name)
{
    for (size_t i = 0; name != NULL && i < b->node_count; i++)
        if (strcmp(b->nodes[i].name, name) == 0)
            return (board_node *)&b->nodes[i];
    return NULL;
}

static board_task *find_task(const board *b, const char *id)
{
    for (size_t i = 0; i < b->task_count; i++)
        if (strcmp(b->tasks[i].id, id) == 0)
            return &b->tasks[i];
    return NULL;
}

/* Microseconds on the clock of the event log. */
static int64_t steady_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* "12:00:01.2  node-b  text", in the node's colour on a terminal. */
static void tell(const board *b, int64_t at_us, const board_node *node, const char *text)
{
    struct timespec now;
    struct tm parts;
    char clock[16];

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t wall_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (steady_us() - at_us);
    time_t seconds = wall_us / 1000000;
    localtime_r(&seconds, &parts);
    strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    printf("%s.%d  ", clock, (int)(wall_us % 1000000 / 100000));
    if (node != NULL && b->colours)
        printf("\033[%dm%-8s %s\033[0m\n", 32 + (int)(node - b->nodes), node->name, text);
    else
        printf("%-8s %s\n", node != NULL ? node->name : "", text);
}

void board_say(board *b, const char *node, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tell(b, steady_us(), find_node(b, node), text);
}

/* The last line that the task's command has written; static, "" when there is none. */
static const char *last_output(const board *b, const char *id)
{
    static char last[64];
    char line[LINE_SIZE];
    char *path = mf_process_output_path(b->log_directory, id);
    FILE *file = path != NULL ? fopen(path, "re") : NULL;

    last[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "-- ", 3) != 0)
            snprintf(last, sizeof last, "%.50s", line);
    }
    if (file != NULL)
        fclose(file);
    free(path);
    return last;
}

static void note_claimed(board *b, board_task *task, board_node *node, const board_event *event)
{
    char text[LINE_SIZE], from[48] = "";
    bool from_lost = task->last != NULL && task->last->lost;

    if (task->last != NULL)
        snprintf(from, sizeof from, " from %s", task->last->name);
    if (from_lost) {
        task->taken_over = true;
        b->last_takeover_us = event->at_us;
    }
    if (task->owner != NULL)
        task->owner->running--;
    task->owner = task->last = node;
    node->claimed++;
    node->running++;
    snprintf(text, sizeof text, "%-10s %-14s fence %llu%s", from_lost ? "took over" : "claimed",
             task->id, (unsigned long long)event->fence, from);
    tell(b, event->at_us, node, text);
}

static void note_end(board *b, board_task *task, board_node *node, const board_event *event)
{
    char text[LINE_SIZE];
    bool done = strcmp(event->name, "done") == 0;

    if (task->owner == node) {
        task->owner = NULL;
        node->running--;
    }
    if (done && !task->done) {
        task->done = true;
        node->done++;
    }
    snprintf(text, sizeof text, "%-10s %-14s %s", event->name, task->id,
             done ? last_output(b, task->id) : "");
    tell(b, event->at_us, node, text);
}

/* A process of a lost node: its guard ends it, or it ends by itself and nobody hears of it. */
static void note_orphan(const board *b, const board_task *task, const board_node *node,
                        const board_event *event)
{
    char text[LINE_SIZE];
    bool by_itself = event->detail == NULL || strchr(event->detail, ',') == NULL;

    snprintf(text, sizeof text, "%-10s %-14s %s%s", by_itself ? "ended" : "killed", task->id,
             by_itself ? "unheard, " : "by its guard: ", event->detail);
    tell(b, event->at_us, node, text);
}

void board_note(board *b, const board_event *event)
{
    board_node *node = find_node(b, event->node);
    board_task *task = find_task(b, event->task);

    if (node == NULL || task == NULL)
        return;
    if (strcmp(event->name, "claimed") == 0)
        note_claimed(b, task, node, event);
    else if (strcmp(event->name, "done") == 0 || strcmp(event->name, "released") == 0)
        note_end(b, task, node, event);
    else if (strcmp(event->name, "process-ended") == 0 && node->lost)
        note_orphan(b, task, node, event);
}

const char *board_busiest(const board *b)
{
    const board_node *busiest = &b->nodes[0];
    for (size_t i = 1; i < b->node_count; i++)
        if (b->nodes[i].running > busiest->running)
            busiest = &b->nodes[i];
    return busiest->name;
}

size_t board_running(const board *b, const char *node)
{
    return find_node(b, node)->running;
}

void board_lose(board *b, const char *node)
{
    find_node(b, node)->lost = true;
    b->lost_us = steady_us();
}

bool board_all_claimed(const board *b)
{
    for (size_t i = 0; i < b->task_count; i++)
        if (b->tasks[i].last == NULL)
            return false;
    return true;
}

bool board_all_done(const board *b)
{
    for (size_t i = 0; i < b->task_count; i++)
        if (!b->tasks[i].done)
            return false;
    return true;
}

void board_sum_up(const board *b)
{
    size_t done = 0, taken_over = 0;

    for (size_t i = 0; i < b->task_count; i++) {
        done += b->tasks[i].done;
        taken_over += b->tasks[i].taken_over;
    }
    printf("\n%zu tasks, %zu done, %zu taken over", b->task_count, done, taken_over);
    if (taken_over > 0)
        printf(", the last %.1f s after its node was lost",
               (double)(b->last_takeover_us - b->lost_us) / 1e6);
    printf("\n");
    for (size_t i = 0; i < b->node_count; i++)
        printf("%-8s claimed %zu, done %zu%s\n", b->nodes[i].name, b->nodes[i].claimed,
               b->nodes[i].done, b->nodes[i].lost ? " (lost)" : "");
    for (size_t i = 0; i < b->task_count; i++)
        if (!b->tasks[i].done)
            printf("not done: %s\n", b->tasks[i].id);
}
