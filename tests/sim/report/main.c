/* metafora-balance-report: what balancing costs in clusters of some sizes, as a table and charts.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"

static const char begin_mark[] = "<!-- figures -->\n", end_mark[] = "<!-- end of figures -->\n";

/* One cluster, to which everything happens up to a last scenario. */
typedef struct cluster_size {
    size_t nodes, tasks;
    int last;
} cluster_size;

static const cluster_size sizes[] = {
    {3, 3000, SCENARIOS - 1},     {30, 30000, SCENARIOS - 1},    {300, 30000, SCENARIOS - 1},
    {1000, 10000, SCENARIOS - 1}, {10, 1000000, SCENARIO_DEATH},
};

enum { CLUSTERS = sizeof sizes / sizeof *sizes, OTHERS = 3 };

typedef struct report {
    figures rows[CLUSTERS][SCENARIOS];
    figures others[OTHERS];
} report;

/* Running. */

typedef struct choice {
    size_t least_nodes, most_nodes, most_tasks;
} choice;

static void run(report *r, const choice *wanted)
{
    for (size_t i = 0; i < CLUSTERS; i++) {
        if (sizes[i].nodes < wanted->least_nodes || sizes[i].nodes > wanted->most_nodes ||
            sizes[i].tasks > wanted->most_tasks)
            continue;
        fprintf(stderr, "%zu nodes, %zu tasks\n", sizes[i].nodes, sizes[i].tasks);
        scenarios_run(sizes[i].nodes, sizes[i].tasks, sizes[i].last, r->rows[i]);
    }
    fprintf(stderr, "weights, costs\n");
    r->others[0] = scenario_weights(30, 30000);
    r->others[1] = scenario_costs_fair(30, 3000);
    r->others[2] = scenario_costs_resource(30, 3000);
}

/* The table. */

static void write_number(FILE *to, double number, int digits)
{
    if (number > 0)
        fprintf(to, " %.*f |", digits, number);
    else
        fputs(" – |", to);
}

static void write_row(FILE *to, const figures *row)
{
    fprintf(to, "| %s | %zu | %zu |", row->scenario, row->nodes, row->tasks);
    if (isnan(row->balanced_s))
        fputs(" – |", to);
    else if (row->balanced_s >= 0)
        fprintf(to, " %.1f s |", row->balanced_s);
    else
        fputs(" no |", to);
    fprintf(to, " %.2f | %" PRIu64 " | %" PRIu64 " |", row->largest, row->moves, row->minimum);
    write_number(to, row->attempts_per_start, 2);
    write_number(to, row->requests_per_start, 2);
    write_number(to, row->requests_per_s, 0);
    fputc('\n', to);
}

static void write_table(FILE *to, const report *r)
{
    fputs("| change | nodes | tasks | balanced after | largest over share | moves | least moves | "
          "claims asked for per start | requests per start | requests a second |\n"
          "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
          to);
    for (int scenario = 0; scenario < SCENARIOS; scenario++)
        for (size_t i = 0; i < CLUSTERS; i++)
            if (r->rows[i][scenario].scenario != NULL)
                write_row(to, &r->rows[i][scenario]);
    for (int i = 0; i < OTHERS; i++)
        write_row(to, &r->others[i]);
}

/* The document: its text stays, its table is made anew. */

static char *read_all(const char *path)
{
    FILE *from = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    if (from == NULL)
        return NULL;
    if (getdelim(&text, &size, '\0', from) < 0) {
        free(text);
        text = NULL;
    }
    fclose(from);
    return text;
}

static int replace_table(const char *path, const report *r)
{
    char *text = read_all(path);
    char *begin = text != NULL ? strstr(text, begin_mark) : NULL;
    char *end = begin != NULL ? strstr(begin, end_mark) : NULL;
    FILE *to = end != NULL ? fopen(path, "w") : NULL;

    if (to == NULL) {
        fprintf(stderr, "%s: %s\n", path,
                end == NULL ? "has no place for figures" : strerror(errno));
        free(text);
        return -1;
    }
    fwrite(text, 1, (size_t)(begin - text) + strlen(begin_mark), to);
    fputc('\n', to);
    write_table(to, r);
    fputc('\n', to);
    fputs(end, to);
    free(text);
    return fclose(to);
}

static int write_chart(const report *r, const char *directory, const char *name, int scenario,
                       chart c)
{
    char path[512];

    for (size_t i = 0; i < CLUSTERS; i++)
        if (r->rows[i][scenario].curve.count > 1)
            chart_add(&c, &r->rows[i][scenario].curve, "%zu nodes, %zu tasks",
                      r->rows[i][scenario].nodes, r->rows[i][scenario].tasks);
    snprintf(path, sizeof path, "%s/%s.svg", directory, name);
    return chart_write(&c, path);
}

static int write_restart_chart(const report *r, const char *directory)
{
    chart c = {
        .title = "Rolling restart of 30 nodes",
        .x = "seconds",
        .y = "tasks moved",
    };
    char path[512];

    chart_add(&c, &r->rows[1][SCENARIO_ROLLING].curve, "not announced");
    chart_add(&c, &r->rows[1][SCENARIO_ROLLING_GRACE].curve, "announced");
    snprintf(path, sizeof path, "%s/balancing-restart.svg", directory);
    return chart_write(&c, path);
}

static int write_documents(const report *r, const char *directory)
{
    char path[512];

    snprintf(path, sizeof path, "%s/balancing.md", directory);
    if (replace_table(path, r) != 0 ||
        write_chart(r, directory, "balancing-cold-start", SCENARIO_COLD_START,
                    (chart){.title = "Cold start: nodes start within a second",
                            .x = "seconds since the first node starts",
                            .y = "tasks that run"}) != 0 ||
        write_chart(r, directory, "balancing-join", SCENARIO_JOIN,
                    (chart){.title = "One node joins",
                            .x = "seconds since it starts",
                            .y = "what it holds of its share"}) != 0 ||
        write_chart(r, directory, "balancing-deaths", SCENARIO_MANY_DEATHS,
                    (chart){.title = "A tenth of the nodes die; leases are 15 s long",
                            .x = "seconds since then",
                            .y = "tasks that run"}) != 0 ||
        write_restart_chart(r, directory) != 0)
        return -1;
    return 0;
}

static void free_report(report *r)
{
    for (size_t i = 0; i < CLUSTERS; i++)
        for (int scenario = 0; scenario < SCENARIOS; scenario++)
            series_free(&r->rows[i][scenario].curve);
}

static void usage(FILE *to)
{
    fputs("usage: metafora-balance-report [--from LEAST] [--nodes MOST] [--tasks MOST]\n"
          "                               [--docs DIRECTORY]\n\n"
          "Runs clusters in virtual time and shows what balancing costs. --from, --nodes and\n"
          "--tasks leave out clusters of fewer or more nodes, or of more tasks. --docs puts the\n"
          "table into DIRECTORY/balancing.md, and charts beside it.\n",
          to);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},  {"tasks", required_argument, NULL, 't'},
        {"nodes", required_argument, NULL, 'n'}, {"docs", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    static report r;
    const char *directory = NULL;
    choice wanted = {0, SIZE_MAX, SIZE_MAX};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'n')
            wanted.most_nodes = strtoull(optarg, NULL, 10);
        else if (c == 'f')
            wanted.least_nodes = strtoull(optarg, NULL, 10);
        else if (c == 't')
            wanted.most_tasks = strtoull(optarg, NULL, 10);
        else if (c == 'd')
            directory = optarg;
        else {
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? EXIT_SUCCESS : 2;
        }
    }
    run(&r, &wanted);
    write_table(stdout, &r);
    int failed = directory != NULL ? write_documents(&r, directory) : 0;
    free_report(&r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
