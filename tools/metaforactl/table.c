/* Tables.
 *
 * Widths are those of the first thousand rows, which wait for that; later rows are written as they
 * come, and one that does not fit is moved to the right: so the longest list needs little memory.
 */
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <metafora/log.h>

enum { ROWS_MEASURED = 1000, GAP = 2, LEAST_LAST = 10 };

struct text_table {
    FILE *to;
    const table_column *columns;
    size_t count;
    size_t *widths;
    char **cells;  /* of the rows that wait */
    size_t filled; /* cells */
    bool measured; /* the titles are written */
    int terminal;
};

int table_terminal_width(FILE *to)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");

    if (!isatty(fileno(to)))
        return 0;
    if (columns != NULL && atoi(columns) > 0)
        return atoi(columns);
    return ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Of one character of UTF-8 at *at, which is moved behind it. */
static size_t take_width(const char **at)
{
    unsigned char first = (unsigned char)*(*at)++;
    wchar_t code = first < 0x80   ? first
                   : first < 0xe0 ? first & 0x1f
                   : first < 0xf0 ? first & 0x0f
                                  : first & 0x07;

    for (; (**at & 0xc0) == 0x80; (*at)++)
        code = (wchar_t)(code << 6 | (**at & 0x3f));
    int width = wcwidth(code);
    return width < 0 ? 1 : (size_t)width;
}

static size_t width_of(const char *text)
{
    size_t width = 0;
    while (*text != '\0')
        width += take_width(&text);
    return width;
}

/* How many bytes of the text fit into `width`; all of it may be wider. */
static size_t bytes_within(const char *text, size_t width)
{
    const char *at = text, *end = text;
    size_t used = 0;

    while (*at != '\0') {
        used += take_width(&at);
        if (used > width)
            break;
        end = at;
    }
    return (size_t)(end - text);
}

text_table *table_new(FILE *to, const table_column *columns, size_t count)
{
    text_table *me = calloc(1, sizeof *me);
    if (me == NULL)
        return NULL;
    *me = (text_table){.to = to, .columns = columns, .count = count};
    me->terminal = table_terminal_width(to);
    me->widths = calloc(count, sizeof *me->widths);
    me->cells = calloc(count * ROWS_MEASURED, sizeof *me->cells);
    if (me->widths == NULL || me->cells == NULL) {
        table_end(me);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        me->widths[i] = width_of(columns[i].title);
    return me;
}

static void put_last(const text_table *me, const char *text, size_t used)
{
    size_t width = width_of(text), room = SIZE_MAX;

    if (me->terminal > 0)
        room = (size_t)me->terminal > used + LEAST_LAST ? (size_t)me->terminal - used : LEAST_LAST;
    if (width <= room)
        fputs(text, me->to);
    else
        fprintf(me->to, "%.*s…", (int)bytes_within(text, room - 1), text);
    fputc('\n', me->to);
}

static void put_row(const text_table *me, const char *const *cells)
{
    size_t used = 0;

    for (size_t i = 0; i < me->count; i++) {
        size_t width = width_of(cells[i]);
        size_t blanks = me->widths[i] > width ? me->widths[i] - width : 0;
        bool is_last = i + 1 == me->count;
        if (me->columns[i].is_number)
            fprintf(me->to, "%*s", (int)blanks, "");
        if (is_last) {
            put_last(me, cells[i], used + (me->columns[i].is_number ? blanks : 0));
            break;
        }
        fputs(cells[i], me->to);
        fprintf(me->to, "%*s", (int)(me->columns[i].is_number ? GAP : blanks + GAP), "");
        used += width + blanks + GAP;
    }
}

static void put_titles(text_table *me)
{
    const char *titles[16];

    for (size_t i = 0; i < me->count && i < 16; i++)
        titles[i] = me->columns[i].title;
    put_row(me, titles);
    me->measured = true;
}

static void flush(text_table *me)
{
    if (!me->measured)
        put_titles(me);
    for (size_t i = 0; i + me->count <= me->filled; i += me->count)
        put_row(me, (const char *const *)me->cells + i);
    for (size_t i = 0; i < me->filled; i++)
        free(me->cells[i]);
    me->filled = 0;
}

void table_text(text_table *me, const char *text)
{
    if (text == NULL)
        text = "-";
    size_t size = mf_escape(NULL, 0, text) + 1;
    char *cell = malloc(size);
    size_t column = me->filled % me->count;

    if (cell == NULL)
        abort();
    mf_escape(cell, size, text);
    me->cells[me->filled++] = cell;
    if (!me->measured && me->widths[column] < width_of(cell))
        me->widths[column] = width_of(cell);
    if (me->filled == me->count * (me->measured ? 1 : ROWS_MEASURED))
        flush(me);
}

void table_count(text_table *me, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    table_text(me, text);
}

void table_number(text_table *me, double number)
{
    char text[32];
    snprintf(text, sizeof text, "%.2f", number);
    char *end = text + strlen(text);
    while (end[-1] == '0')
        *--end = '\0';
    if (end[-1] == '.')
        end[-1] = '\0';
    table_text(me, text);
}

void table_drop(text_table *me)
{
    if (me == NULL)
        return;
    for (size_t i = 0; i < me->filled; i++)
        free(me->cells[i]);
    free(me->widths);
    free(me->cells);
    free(me);
}

void table_end(text_table *me)
{
    if (me == NULL)
        return;
    if (me->widths != NULL && me->cells != NULL)
        flush(me);
    table_drop(me);
}
