/* metaforactl on a private broker. */
#include "ctl_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_ARGUMENTS = 48 };

static const char *path_of(const ctl_fixture *f, const char *name)
{
    static char path[8][256];
    static int next;
    char *to = path[next++ % 8];

    snprintf(to, sizeof *path, "%s/%s", f->directory, name);
    return to;
}

int ctl_setup(void **state)
{
    static const char *const ours[] = {"METAFORA_BROKER", "METAFORA_NAMESPACE", "METAFORA_PASSWORD",
                                       "COLUMNS"};
    ctl_fixture *f = calloc(1, sizeof *f);

    *state = f;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        unsetenv(ours[i]);
    f->directory = directory_new();
    f->server = ctl_server_start(NULL);
    return 0;
}

int ctl_teardown(void **state)
{
    ctl_fixture *f = *state;

    for (int n = 0; n < CTL_NODES; n++)
        process_kill(&f->nodes[n]);
    ctl_server_free(f->server);
    directory_remove(f->directory);
    free(f->out);
    free(f->err);
    free(f);
    return 0;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (file == NULL || getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    if (file != NULL)
        fclose(file);
    return text;
}

const char *ctl_file(ctl_fixture *f, const char *name, const char *text)
{
    const char *path = path_of(f, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

char *ctl_text(ctl_fixture *f, const char *name)
{
    return read_file(path_of(f, name));
}

int ctl_do_bare(ctl_fixture *f, const char *const *arguments, const char *input)
{
    static const char script[] =
        "in=$1 out=$2 err=$3; shift 3; exec \"$@\" <\"$in\" >\"$out\" 2>\"$err\"";
    const char *argv[MOST_ARGUMENTS] = {"sh",
                                        "-c",
                                        script,
                                        "sh",
                                        ctl_file(f, "in", input),
                                        path_of(f, "out"),
                                        path_of(f, "err"),
                                        METAFORACTL};
    size_t used = 8;
    process run;

    for (; *arguments != NULL; arguments++)
        argv[used++] = *arguments;
    process_start(&run, argv, path_of(f, "sh"));
    if (!process_await_end(&run, CTL_PATIENCE_MS)) {
        process_kill(&run);
        fail_msg("metaforactl does not end");
    }
    free(f->out);
    free(f->err);
    f->out = read_file(path_of(f, "out"));
    f->err = read_file(path_of(f, "err"));
    return WIFEXITED(run.status) ? WEXITSTATUS(run.status) : -WTERMSIG(run.status);
}

static int run_on_server(ctl_fixture *f, const char *input, const char *first, va_list more)
{
    const char *arguments[MOST_ARGUMENTS] = {first, "--broker", ctl_server_url(f->server),
                                             "--namespace", "ns"};
    size_t used = 5;

    while ((arguments[used] = va_arg(more, const char *)) != NULL)
        used++;
    return ctl_do_bare(f, arguments, input);
}

int ctl_do(ctl_fixture *f, const char *first, ...)
{
    va_list more;
    va_start(more, first);
    int status = run_on_server(f, "", first, more);
    va_end(more);
    return status;
}

int ctl_do_with(ctl_fixture *f, const char *input, const char *first, ...)
{
    va_list more;
    va_start(more, first);
    int status = run_on_server(f, input, first, more);
    va_end(more);
    return status;
}

void ctl_await(ctl_fixture *f, const char *text, const char *first, ...)
{
    int64_t last = clock_ms() + CTL_PATIENCE_MS;

    do {
        va_list more;
        va_start(more, first);
        run_on_server(f, "", first, more);
        va_end(more);
        if (clock_ms() > last)
            fail_msg("no '%s' in: %s%s", text, f->out, f->err);
    } while (strstr(f->out, text) == NULL);
}

void ctl_assert_has(const char *all, const char *text, const char *file, int line)
{
    if (strstr(all, text) != NULL)
        return;
    print_error("%s:%d: no '%s' in:\n%s\n", file, line, text, all);
    _fail(file, line);
}

void ctl_start_node(ctl_fixture *f, int n)
{
    static const char *const names[] = {"a", "b", "c"};
    const char *const argv[] = {KOALEMOSD,     "--broker",  ctl_server_url(f->server),
                                "--namespace", "ns",        "--name",
                                names[n],      "--log-dir", f->directory,
                                "--stateful",  NULL};

    process_start(&f->nodes[n], argv, path_of(f, names[n]));
    if (!process_await_output(&f->nodes[n], "joined as", 0, CTL_PATIENCE_MS))
        fail_msg("node %s did not join: %s", names[n], read_file(path_of(f, names[n])));
}
