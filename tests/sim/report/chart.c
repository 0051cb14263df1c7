/* Line charts as SVG files. */
#include "chart.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { WIDTH = 720, HEIGHT = 360, LEFT = 64, RIGHT = 190, TOP = 40, BOTTOM = 48 };

/* Told apart also by those who do not see all colours (Okabe, Ito 2008). */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73",
                                      "#cc79a7", "#e69f00", "#56b4e9"};

void chart_add(chart *c, const series *points, const char *format, ...)
{
    chart_line *line = &c->lines[c->count++];
    va_list arguments;

    line->points = points;
    va_start(arguments, format);
    vsnprintf(line->name, sizeof line->name, format, arguments);
    va_end(arguments);
}

/* 1, 2 or 5 times a power of ten: at most eight steps to `most`. */
static double step_for(double most)
{
    double step = pow(10, floor(log10(most / 8)));

    while (most / step > 8)
        step *= most / step > 20 ? 10 : most / step > 16 ? 5 : 2;
    return step;
}

typedef struct scale {
    double most_x, most_y;
} scale;

static double at_x(const scale *s, double x)
{
    return LEFT + x / s->most_x * (WIDTH - LEFT - RIGHT);
}

static double at_y(const scale *s, double y)
{
    return HEIGHT - BOTTOM - y / s->most_y * (HEIGHT - TOP - BOTTOM);
}

static scale find_scale(const chart *c)
{
    scale s = {0};

    for (size_t i = 0; i < c->count; i++)
        for (size_t p = 0; p < c->lines[i].points->count; p++) {
            s.most_x = fmax(s.most_x, c->lines[i].points->x[p]);
            s.most_y = fmax(s.most_y, c->lines[i].points->y[p]);
        }
    s.most_x = s.most_x > 0 ? s.most_x : 1;
    s.most_y = s.most_y > 0 ? s.most_y : 1;
    return s;
}

static void write_axes(FILE *to, const chart *c, const scale *s)
{
    double step = step_for(s->most_x);

    fprintf(to, "<text x='%d' y='22' font-size='15'>%s</text>\n", LEFT, c->title);
    for (double x = 0; x <= s->most_x * 1.001; x += step)
        fprintf(to,
                "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' stroke='#ddd'/>"
                "<text x='%.1f' y='%d' text-anchor='middle'>%g</text>\n",
                at_x(s, x), at_x(s, x), TOP, HEIGHT - BOTTOM, at_x(s, x), HEIGHT - BOTTOM + 16, x);
    step = step_for(s->most_y);
    for (double y = 0; y <= s->most_y * 1.001; y += step)
        fprintf(to,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/>"
                "<text x='%d' y='%.1f' text-anchor='end'>%g %%</text>\n",
                LEFT, WIDTH - RIGHT, at_y(s, y), at_y(s, y), LEFT - 6, at_y(s, y) + 4, y * 100);
    fprintf(to, "<text x='%d' y='%d' text-anchor='middle'>%s</text>\n", (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 12, c->x);
    fprintf(to,
            "<text x='16' y='%d' text-anchor='middle' transform='rotate(-90 16 %d)'>%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, (TOP + HEIGHT - BOTTOM) / 2, c->y);
}

/* Points that fall on the same place are left out. */
static void write_line(FILE *to, const chart *c, const scale *s, size_t index)
{
    const series *points = c->lines[index].points;
    double drawn_x = -1, drawn_y = -1;

    fprintf(to, "<polyline fill='none' stroke='%s' stroke-width='2' points='", colours[index]);
    for (size_t p = 0; p < points->count; p++) {
        double x = at_x(s, points->x[p]), y = at_y(s, points->y[p]);
        if (fabs(x - drawn_x) < 0.5 && fabs(y - drawn_y) < 0.5)
            continue;
        fprintf(to, "%.1f,%.1f ", x, y);
        drawn_x = x;
        drawn_y = y;
    }
    int legend = TOP + 10 + 20 * (int)index;
    fprintf(to,
            "'/>\n<line x1='%d' x2='%d' y1='%d' y2='%d' stroke='%s' stroke-width='2'/>"
            "<text x='%d' y='%d'>%s</text>\n",
            WIDTH - RIGHT + 12, WIDTH - RIGHT + 32, legend, legend, colours[index],
            WIDTH - RIGHT + 38, legend + 4, c->lines[index].name);
}

int chart_write(const chart *c, const char *path)
{
    scale s = find_scale(c);
    FILE *to = fopen(path, "w");

    if (to == NULL)
        return -1;
    fprintf(to,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' "
            "font-size='12'>\n<rect width='%d' height='%d' fill='white'/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT);
    write_axes(to, c, &s);
    for (size_t i = 0; i < c->count; i++)
        write_line(to, c, &s, i);
    fputs("</svg>\n", to);
    return fclose(to);
}
