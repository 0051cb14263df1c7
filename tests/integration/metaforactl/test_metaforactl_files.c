/* metaforactl: export and import, the live view, long work that is interrupted, terminals. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl_fixture.h"

enum { A, B, C };

#define SLEEP "{\"args\":[\"sleep\",\"1000\"]}"

static void path_in(ctl_fixture *f, char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", f->directory, name);
}

/* What export wrote import makes again, in the same words: properties byte for byte, a pause as a
 * pause. What has ended is known to the file, and does not run again. */
static void test_round_trip(void **state)
{
    ctl_fixture *f = *state;
    char file[256];

    path_in(f, file, "backup");
    ctl_start_node(f, A);
    ctl_do(f, "submit", "--id", "p", SLEEP, NULL);
    ctl_do(f, "submit", "--id", "k", SLEEP, NULL);
    ctl_await(f, "2\n", "tasks", "--count", "--status", "running", NULL);
    ctl_do(f, "tell", "p", "pause", NULL);
    ctl_do(f, "tell", "k", "kill", NULL);
    ctl_await(f, "p ", "states", "paused", NULL);
    ctl_await(f, "k ", "states", "killed", NULL);
    ctl_await(f, "1\n", "tasks", "--count", NULL);
    ctl_do(f, "submit", "--id", "later", "--at", "+1d", "{\"n\": 12345678901234567890}", NULL);

    assert_int_equal(ctl_do(f, "export", "--file", file, NULL), 0);
    assert_string_equal(f->out, "2 tasks, 1 states of ended tasks, 0 damaged\n");
    assert_int_equal(ctl_do(f, "export", NULL), 0);
    assert_out(f, "{\"id\":\"p\",\"properties\":" SLEEP ",\"state\":{\"state\":\"paused\"");
    assert_out(f, "{\"id\":\"later\",\"properties\":{\"n\": 12345678901234567890}}\n");
    assert_out(f, "{\"id\":\"k\",\"state\":{\"state\":\"killed\"");
    assert_out(f, ",\"ended\":true}\n");

    ctl_do(f, "erase", "p", "later", "k", NULL);
    ctl_await(f, "0\n", "tasks", "--count", NULL);
    assert_int_equal(ctl_do(f, "import", "--file", file, NULL), 0);
    assert_string_equal(f->out, "2 imported\n");
    assert_string_equal(f->err, "metaforactl: 1 tasks had ended, and are left out\n");
    ctl_await(f, "p ", "states", "paused", NULL);
    assert_int_equal(ctl_do(f, "task", "later", "--json", NULL), 0);
    assert_out(f, "\"properties\":{\"n\": 12345678901234567890}");
    assert_int_equal(ctl_do(f, "import", "--file", file, "--ignore-existing", NULL), 0);
    assert_string_equal(f->out, "0 imported, 2 there already\n");
}

/* Also of many pages, to another namespace, all and each once. */
static void test_many(void **state)
{
    ctl_fixture *f = *state;
    char *text;
    size_t size;
    FILE *lines = open_memstream(&text, &size);

    for (int i = 0; i < 7001; i++)
        fprintf(lines, "{\"id\":\"t-%d\",\"properties\":%d}\n", i, i);
    fclose(lines);
    assert_int_equal(ctl_do_with(f, text, "import", NULL), 0);
    assert_string_equal(f->out, "7001 imported\n");
    free(text);
    assert_int_equal(ctl_do(f, "export", NULL), 0);
    char *exported = strdup(f->out);
    assert_int_equal(ctl_do_with(f, exported, "import", "--namespace", "other", NULL), 0);
    assert_string_equal(f->out, "7001 imported\n");
    free(exported);
}

/* A task that sleeps is imported as one that is due then; so is what 'tasks --json' wrote. */
static void test_import_forms(void **state)
{
    ctl_fixture *f = *state;

    ctl_start_node(f, A);
    assert_int_equal(
        ctl_do_with(f,
                    "{\"id\":\"s\",\"properties\":" SLEEP
                    ",\"state\":{\"state\":\"sleeping\",\"until\":\"2099-01-01T00:00:00Z\"}}\n"
                    "{\"id\":\"t\",\"status\":\"running\",\"node\":\"x\",\"fence\":1,\"crashes\":0,"
                    "\"properties\":" SLEEP "}\n",
                    "import", NULL),
        0);
    ctl_await(f, "running", "task", "t", NULL);
    ctl_do(f, "task", "s", NULL);
    assert_out(f, "status      waiting\n");
}

static void test_import_bad_lines(void **state)
{
    static const char *const lines[][2] = {
        {"{\"properties\":1}", "id: missing"},
        {"{\"id\":\"a\",\"state\":{\"state\":\"lost\"}}", "state: "},
        {"{\"id\":\"a\",\"state\":1}", "state: "},
        {"{\"id\":\"a\",\"color\":1}", "'color': is none of id, properties, not_before, state"},
    };
    ctl_fixture *f = *state;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(ctl_do_with(f, lines[i][0], "import", NULL), 2);
        assert_err(f, lines[i][1]);
        assert_err(f, "-: line 1: ");
        assert_string_equal(f->out, "0 imported\n");
    }
}

/* A file that is there is not written over; what is damaged is named, and the rest is there. */
static void test_export_faults(void **state)
{
    ctl_fixture *f = *state;
    const char *file = ctl_file(f, "there", "mine");

    ctl_do(f, "submit", "--id", "good", "1", NULL);
    ctl_do(f, "submit", "--id", "bad", "1", NULL);
    ctl_server_damage(f->server, "bad");
    assert_int_equal(ctl_do(f, "export", "--file", file, NULL), 5);
    assert_err(f, "--file: ");
    assert_int_equal(ctl_do(f, "export", NULL), 1);
    assert_string_equal(f->out, "{\"id\":\"good\",\"properties\":1}\n");
    assert_string_equal(f->err, "metaforactl: bad: is damaged, and left out\n");
    ctl_server_kill(f->server);
    assert_int_equal(ctl_do(f, "export", NULL), 3);
    assert_int_equal(ctl_do_with(f, "{\"id\":\"a\"}", "import", NULL), 3);
    assert_int_equal(ctl_do(f, "watch", NULL), 3);
}

/* Views follow each other, for people and for programs. */
static void test_watch(void **state)
{
    ctl_fixture *f = *state;

    ctl_start_node(f, A);
    ctl_do(f, "submit", "--id", "t", SLEEP, NULL);
    ctl_await(f, "running", "task", "t", NULL);
    assert_int_equal(ctl_do(f, "watch", "--views", "2", "--interval", "1", NULL), 0);
    assert_out(f, "1 tasks: 1 running, 0 waiting, 0 set-aside, 0 damaged\n\nNODE");
    assert_non_null(strstr(strstr(f->out, "1 tasks") + 1, "1 tasks"));
    assert_int_equal(ctl_do(f, "watch", "--views", "1", "--json", NULL), 0);
    assert_string_equal(
        f->out, "{\"tasks\":1,\"running\":1,\"waiting\":0,\"set-aside\":0,\"damaged\":0,"
                "\"nodes\":[{\"node\":\"a\",\"tasks\":1,\"share\":1,\"status\":\"ready\"}]}\n");
    assert_int_equal(ctl_do(f, "watch", "--interval", "0", NULL), 2);
    assert_err(f, "--interval: '0' is not a number from 1");
}

/* The number that stands before the text. */
static unsigned number_before(const char *all, const char *text)
{
    const char *at = strstr(all, text);

    assert_non_null(at);
    while (at > all && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return (unsigned)strtoul(at, NULL, 10);
}

/* Ctrl-C while it reads, in the middle of a line, which is none then: as many lines are done as it
 * says, and the line that goes on with the rest is printed, with the words as they were given. */
static void test_interrupt(void **state)
{
    ctl_fixture *f = *state;
    char fifo[256], output[256], wanted[128];
    process run;
    int waiting = 1;

    path_in(f, fifo, "fifo");
    path_in(f, output, "interrupted");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int input = open(fifo, O_RDWR | O_CLOEXEC);
    const char *const argv[] = {"sh",
                                "-c",
                                "exec \"$@\" <\"$0\"",
                                fifo,
                                METAFORACTL,
                                "submit",
                                "--broker",
                                ctl_server_url(f->server),
                                "--namespace",
                                "it's",
                                "--file",
                                "-",
                                "--skip=1",
                                NULL};
    static const char lines[] = "\n{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"cu";
    assert_int_equal(write(input, lines, strlen(lines)), strlen(lines));
    process_start(&run, argv, output);
    while (ioctl(input, FIONREAD, &waiting) == 0 && waiting > 0)
        sched_yield();
    process_signal(&run, SIGINT);
    assert_true(process_await_end(&run, CTL_PATIENCE_MS));
    close(input);
    assert_int_equal(WEXITSTATUS(run.status), 130);

    char *printed = ctl_text(f, "interrupted");
    unsigned done = number_before(printed, " lines are done; to go on:");
    unsigned submitted = number_before(printed, " submitted\n");
    assert_int_equal(submitted, done - 1);
    snprintf(wanted, sizeof wanted, "--namespace 'it'\\''s' --file - --skip %u\n", done);
    ctl_assert_has(printed, wanted, __FILE__, __LINE__);
    free(printed);
    snprintf(wanted, sizeof wanted, "%u\n", submitted);
    ctl_do(f, "tasks", "--count", "--namespace", "it's", NULL);
    assert_string_equal(f->out, wanted);
}

/* It waits in a system call. */
static bool is_asleep(const process *run)
{
    char path[64], text[256] = "";

    snprintf(path, sizeof path, "/proc/%d/stat", (int)run->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        fail_msg("%s cannot be read", path);
    fclose(file);
    return strstr(text, ") S ") != NULL;
}

/* Nor is the beginning of an id an id: the task that has it as its own stays. */
static void test_interrupt_cuts_no_id(void **state)
{
    ctl_fixture *f = *state;
    char fifo[256], output[256];
    process run;
    int waiting = 1;

    ctl_do(f, "submit", "--id", "keep", NULL);
    path_in(f, fifo, "fifo");
    path_in(f, output, "interrupted");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int input = open(fifo, O_RDWR | O_CLOEXEC);
    const char *const argv[] = {"sh",
                                "-c",
                                "exec \"$@\" <\"$0\"",
                                fifo,
                                METAFORACTL,
                                "remove",
                                "--broker",
                                ctl_server_url(f->server),
                                "--namespace",
                                "ns",
                                "--file",
                                "-",
                                NULL};
    assert_int_equal(write(input, "x\nkeep", 6), 6);
    process_start(&run, argv, output);
    while (ioctl(input, FIONREAD, &waiting) == 0 && (waiting > 0 || !is_asleep(&run)))
        sched_yield();
    process_signal(&run, SIGINT);
    assert_true(process_await_end(&run, CTL_PATIENCE_MS));
    close(input);
    assert_int_equal(WEXITSTATUS(run.status), 130);
    assert_true(process_await_output(&run, " 1 lines are done; to go on:", 0, 0));
    ctl_do(f, "tasks", "--count", "--match", "keep", NULL);
    assert_string_equal(f->out, "1\n");
}

/* On a terminal a row ends at its width, long work shows how far it is, and neither does elsewhere.
 */
static void test_terminal(void **state)
{
    ctl_fixture *f = *state;
    char command[1024], line[256];
    bool was_cut = false, has_progress = false;

    ctl_do(f, "submit", "--id", "t", "\"\xc3\xa4 text that is longer than any terminal of forty\"",
           NULL);
    const char *lines = ctl_file(f, "lines", "a\nb\n");
    snprintf(command, sizeof command,
             "COLUMNS=48 script -qec '%s tasks --broker %s --namespace ns; %s remove --broker %s "
             "--namespace ns --ignore-missing --file %s' /dev/null </dev/null",
             METAFORACTL, ctl_server_url(f->server), METAFORACTL, ctl_server_url(f->server), lines);
    FILE *terminal = popen(command, "re");
    while (fgets(line, sizeof line, terminal) != NULL) {
        was_cut |= strstr(line, "-         0        0  \"\xc3\xa4 text that…\r\n") != NULL;
        has_progress |=
            strstr(line, "2 removed") != NULL && strstr(line, ", 100 %, 0 s left") != NULL;
    }
    pclose(terminal);
    assert_true(was_cut);
    assert_true(has_progress);
    ctl_do(f, "tasks", NULL);
    assert_out(f, "of forty\"\n");
}

/* Doctor: of a broker that is well, of tasks that are not; bad findings are status 1. */
static void test_doctor(void **state)
{
    ctl_fixture *f = *state;

    assert_int_equal(ctl_do(f, "doctor", "--write", NULL), 0);
    assert_out(f, "version ");
    assert_out(f, "good     latency      a look takes ");
    assert_out(f, "good     nodes        0, of which 0 take tasks\n");
    assert_out(f, "good     permissions  this user may write\n");
    ctl_do(f, "submit", "--id", "bad", "1", NULL);
    ctl_server_damage(f->server, "bad");
    assert_int_equal(ctl_do(f, "doctor", NULL), 1);
    assert_out(f, "bad      nodes        0, none takes tasks, and there are 1\n");
    assert_out(f, "-> start one\n");
    assert_out(f, "bad      tasks        1 damaged: bad\n");
    assert_int_equal(ctl_do(f, "doctor", "--json", NULL), 1);
    assert_out(f,
               "{\"check\":\"tasks\",\"result\":\"bad\",\"text\":\"1 damaged: bad\",\"advice\":\"");
    ctl_do(f, "tasks", "--count", NULL);
    assert_string_equal(f->out, "1\n");
    ctl_server_kill(f->server);
    assert_int_equal(ctl_do(f, "doctor", NULL), 3);
    assert_string_equal(f->out, "");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, ctl_setup, ctl_teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_round_trip),    CASE(test_many),
        CASE(test_import_forms),  CASE(test_import_bad_lines),
        CASE(test_export_faults), CASE(test_watch),
        CASE(test_interrupt),     CASE(test_interrupt_cuts_no_id),
        CASE(test_doctor),        CASE(test_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
