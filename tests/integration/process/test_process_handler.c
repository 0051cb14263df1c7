/* Tasks as child processes: what their ends mean, what they use, how they are stopped. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "handler_fixture.h"
#include "process.h"
#include "resources.h"

/* How much later than promised a death may be seen on a busy machine. */
enum { SLACK_MS = 500 };

/* A grace that is never too short there. */
enum { LONG_GRACE_MS = 10000 };

#define IGNORE_TERM "trap '' TERM; echo up; while :; do sleep 1; done"

static bool has_ended(handler_fixture *f, const void *arg)
{
    mf_consumer_statistics statistics = handler_statistics(f);
    return statistics.done + statistics.released >= *(const uint64_t *)arg;
}

static void await_ends(handler_fixture *f, uint64_t count)
{
    handler_await(f, has_ended, &count);
}

static void assert_output_has(handler_fixture *f, const char *id, const char *text)
{
    char *output = handler_output(f, id);
    if (strstr(output, text) == NULL)
        fail_msg("%s has no '%s': %s", id, text, output);
    free(output);
}

static void assert_state_has(handler_fixture *f, const char *id, const char *text)
{
    char *state = handler_state(f, id);
    if (strstr(state, text) == NULL)
        fail_msg("the state of %s has no '%s': %s", id, text, state);
    free(state);
}

/* Plain tasks: status 0 is done, 75 gives back, failures and properties without a command are done
 * and told. */
static void test_plain_ends(void **state)
{
    handler_fixture *f = *state;
    mf_task_spec bad = {.id = "bad", .properties = "{\"args\":[]}"};

    handler_open(f);
    handler_submit(f, "fine", "exit 0");
    handler_submit(f, "failed", "exit 3");
    handler_submit(f, "crashed", "kill -SEGV $$");
    handler_submit(f, "again", "[ -e $D/second ] || { touch $D/second; exit 75; }");
    mf_client_submit(f->client, &bad, 1, NULL, NULL, NULL);
    await_ends(f, 6);
    assert_int_equal(handler_statistics(f).done, 5);
    assert_int_equal(handler_statistics(f).released, 1);
    assert_non_null(strstr(f->log, "task failed: exit status 3\n"));
    assert_non_null(strstr(f->log, "task crashed: signal 11 (Segmentation fault)\n"));
    assert_non_null(strstr(f->log, "task bad: properties.args: must be"));
    handler_await_output(f, "bad", "not run: properties.args: must be");
}

/* Tasks with states: status 0 completes, 75 gives back, what fails sleeps with its error kept. */
static void test_stateful_ends(void **state)
{
    handler_fixture *f = *state;
    mf_task_spec bad = {.id = "bad", .properties = "{\"args\":[1]}"};

    handler_open_stateful(f);
    handler_submit(f, "fine", "exit 0");
    handler_submit(f, "failed", "exit 3");
    handler_submit(f, "crashed", "kill -SEGV $$");
    handler_submit(f, "again", "[ -e $D/second ] || { touch $D/second; exit 75; }");
    mf_client_submit(f->client, &bad, 1, NULL, NULL, NULL);
    handler_await_state(f, "fine", MF_STATE_COMPLETED);
    handler_await_state(f, "again", MF_STATE_COMPLETED);
    handler_await_state(f, "failed", MF_STATE_SLEEPING);
    handler_await_state(f, "crashed", MF_STATE_SLEEPING);
    handler_await_state(f, "bad", MF_STATE_SLEEPING);
    assert_state_has(f, "failed", "\"error\":\"exit status 3\"");
    assert_state_has(f, "crashed", "\"error\":\"signal 11 (Segmentation fault)\"");
    assert_state_has(f, "bad", "\"error\":\"properties.args[0]: must be a string\"");
    assert_int_equal(handler_statistics(f).released, 1);
}

/* A task that fails is tried again after the time, and fails for good at the last error. */
static void test_retries(void **state)
{
    handler_fixture *f = *state;

    f->states.retry_ms = 50;
    f->states.max_errors = 3;
    handler_open_stateful(f);
    handler_submit(f, "t", "exit 1");
    handler_await_state(f, "t", MF_STATE_FAILED);
    char *output = handler_output(f, "t");
    assert_int_equal(count_text(output, ": sh -c exit 1\n"), 3);
    free(output);
}

static mf_message sleep_on_four(mf_task *task, const mf_process_end *end, void *payload)
{
    (void)task;
    (void)payload;
    if (end->exit_status == 4)
        return mf_message_sleep_until(INT64_C(4102444800000000));
    return mf_process_exit_message(end);
}

/* The program's own rule decides before the default one. */
static void test_own_rule(void **state)
{
    handler_fixture *f = *state;

    f->processes.on_exit = sleep_on_four;
    handler_open_stateful(f);
    handler_submit(f, "sleeper", "exit 4");
    handler_submit(f, "fine", "exit 0");
    handler_await_state(f, "sleeper", MF_STATE_SLEEPING);
    handler_await_state(f, "fine", MF_STATE_COMPLETED);
    assert_state_has(f, "sleeper", "\"until\":\"2100-01-01T00:00:00Z\"");
}

static mf_process_end the_end;

static mf_message keep_end(mf_task *task, const mf_process_end *end, void *payload)
{
    (void)task;
    (void)payload;
    the_end = *end;
    return mf_process_exit_message(end);
}

/* What a command has used is told at its end, to the rule and in its output. */
static void test_usage(void **state)
{
    handler_fixture *f = *state;

    f->processes.on_exit = keep_end;
    handler_open(f);
    handler_submit(f, "t", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 7");
    await_ends(f, 1);
    assert_int_equal(the_end.exit_status, 7);
    assert_int_equal(the_end.signal_number, 0);
    assert_in_range(the_end.user_us + the_end.system_us, 5000, the_end.run_us + 20000);
    assert_in_range(the_end.max_rss_bytes, 262144, 1 << 30);
    handler_await_output(f, "t", "exit status 7; 0.");
    assert_output_has(f, "t", " s system, ");
}

typedef struct shown {
    int code;
    mf_process_info info;
} shown;

static bool show(const mf_task_info *info, void *arg)
{
    shown *out = arg;
    out->code = mf_process_get_info(info->task, &out->info);
    return true;
}

/* What a command uses can be asked while it runs; a task that sleeps has none. */
static void test_info(void **state)
{
    handler_fixture *f = *state;
    shown out = {.info = MF_PROCESS_INFO_INIT};
    char pid[32];

    handler_open_stateful(f);
    handler_submit(f, "t",
                   "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo pid $$.; sleep 100");
    handler_await_output(f, "t", "\npid ");
    assert_int_equal(mf_consumer_tasks(f->consumer, show, &out), 1);
    assert_int_equal(out.code, MF_OK);
    snprintf(pid, sizeof pid, "pid %d.\n", (int)out.info.pid);
    assert_output_has(f, "t", pid);
    assert_in_range(out.info.user_us + out.info.system_us, 10000, out.info.run_us + 20000);
    assert_in_range(out.info.rss_bytes, 262144, 1 << 30);
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_PAUSE));
    handler_await_state(f, "t", MF_STATE_PAUSED);
    assert_int_equal(mf_consumer_tasks(f->consumer, show, &out), 1);
    assert_int_equal(out.code, MF_EGONE);
}

/* The file has a dated line at the start and the end, and what the command has said between. */
static void test_output(void **state)
{
    handler_fixture *f = *state;
    int year, at = 0;

    handler_open(f);
    handler_submit(f, "a b", "echo out; echo err >&2");
    handler_await_output(f, "a b", "exit status 0");
    char *output = handler_output(f, "a b");
    assert_int_equal(
        sscanf(output, "-- %d-%*d-%*dT%*d:%*d:%*d.%*dZ node, fence %*d: %n", &year, &at), 1);
    assert_int_not_equal(at, 0);
    assert_ptr_equal(strstr(output + at, "sh -c echo out; echo err >&2\nout\nerr\n-- "),
                     output + at);
    free(output);
}

/* Without a directory the output goes where the program's own errors go. */
static void test_output_to_stderr(void **state)
{
    handler_fixture *f = *state;
    char path[256], text[64] = "";
    int real = dup(STDERR_FILENO);

    snprintf(path, sizeof path, "%s/stderr", f->directory);
    assert_non_null(freopen(path, "a+", stderr));
    f->processes.output_directory = NULL;
    handler_open(f);
    handler_submit(f, "t", "echo out; echo err >&2");
    await_ends(f, 1);
    rewind(stderr);
    size_t length = fread(text, 1, sizeof text - 1, stderr);
    dup2(real, STDERR_FILENO);
    close(real);
    assert_int_equal(length, 8);
    assert_string_equal(text, "out\nerr\n");
}

/* A command whose file cannot be opened is not run, and its task given back until it can be. */
static void test_output_that_cannot_be_opened(void **state)
{
    handler_fixture *f = *state;
    char directory[256], path[512];

    snprintf(directory, sizeof directory, "%s/missing", f->directory);
    f->processes.output_directory = directory;
    handler_open(f);
    handler_submit(f, "t", "touch $D/ran");
    await_ends(f, 1);
    assert_int_equal(handler_statistics(f).released, 1);
    assert_non_null(strstr(f->log, "could not be started: No such file or directory"));
    snprintf(path, sizeof path, "%s/ran", f->directory);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(mkdir(directory, 0700), 0);
    handler_await_gone(f, "t");
    assert_int_equal(access(path, F_OK), 0);
}

/* Messages end a command by SIGTERM; it may finish in order, and its own status is not asked for.
 */
static void test_messages(void **state)
{
    handler_fixture *f = *state;

    f->processes.stop_grace_ms = LONG_GRACE_MS;
    handler_open_stateful(f);
    handler_submit(f, "t", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done");
    handler_await_output(f, "t", "up\n");
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_PAUSE));
    handler_await_state(f, "t", MF_STATE_PAUSED);
    assert_output_has(f, "t", "bye\n");
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_RUN));
    handler_await_output(f, "t", "stopped; ");
    handler_await_state(f, "t", MF_STATE_RUNNABLE);
    handler_await_output(f, "t", "bye\n");
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_KILL));
    handler_await_state(f, "t", MF_STATE_KILLED);
}

/* Run and checkpoint leave a running command alone; the message after them is obeyed. */
static void test_messages_that_change_nothing(void **state)
{
    handler_fixture *f = *state;

    handler_open_stateful(f);
    handler_submit(f, "t", "echo up; sleep 100");
    handler_await_output(f, "t", "up\n");
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_RUN));
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_CHECKPOINT));
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_PAUSE));
    handler_await_state(f, "t", MF_STATE_PAUSED);
    char *output = handler_output(f, "t");
    assert_int_equal(count_text(output, "up\n"), 1);
    free(output);
    assert_null(strstr(f->log, "not understood"));
}

/* What ignores the signal is killed after the grace, whatever it was told. */
static void test_grace(void **state)
{
    handler_fixture *f = *state;

    f->processes.stop_grace_ms = 200;
    handler_open_stateful(f);
    handler_submit(f, "t", IGNORE_TERM);
    handler_await_output(f, "t", "up\n");
    handler_tell(f, "t", mf_message_of(MF_MESSAGE_PAUSE));
    handler_await_state(f, "t", MF_STATE_PAUSED);
    handler_await_output(f, "t", "signal 9 (Killed), stopped");
}

/* The signal that asks to stop is an option. */
static void test_stop_signal(void **state)
{
    handler_fixture *f = *state;

    f->processes.stop_signal = SIGUSR1;
    f->processes.stop_grace_ms = LONG_GRACE_MS;
    handler_open(f);
    handler_submit(f, "t", "trap 'echo told; exit 0' USR1; echo up; while :; do sleep 0.05; done");
    handler_await_output(f, "t", "up\n");
    handler_close(f);
    assert_output_has(f, "t", "told\n");
    assert_output_has(f, "t", "exit status 0, stopped");
}

static bool is_closed(handler_fixture *f, const void *arg)
{
    (void)arg;
    return f->closed;
}

/* When the guard is killed its commands are given back, and the consumer fails. */
static void test_guard_lost(void **state)
{
    handler_fixture *f = *state;

    handler_open(f);
    handler_submit(f, "t", "echo up; sleep 100");
    handler_await_output(f, "t", "up\n");
    kill(handler_child("metafora-guard"), SIGKILL);
    handler_await(f, is_closed, NULL);
    assert_int_equal(handler_statistics(f).released, 1);
    assert_string_equal(mf_consumer_error(f->consumer)->text, "the guard process is gone");
}

/* Without the scribe notes are lost and nothing else: neither guard nor program dies of it. */
static void test_scribe_lost(void **state)
{
    handler_fixture *f = *state;
    char events[256];

    snprintf(events, sizeof events, "%s/events", f->directory);
    f->processes.event_log = events;
    handler_open(f);
    handler_submit(f, "first", "exit 0");
    handler_await_gone(f, "first");
    kill(handler_child("metafora-scribe"), SIGKILL);
    handler_submit(f, "second", "exit 0");
    handler_await_gone(f, "second");
    handler_submit(f, "third", "exit 0");
    handler_await_gone(f, "third");
    assert_int_equal(handler_statistics(f).done, 3);
}

/* The event log has a line for each step of each task, from the program and from the guard. */
static void test_event_log(void **state)
{
    static const char *const steps[] = {"claimed", "process-started", "process-ended", "done"};
    handler_fixture *f = *state;
    char events[256], wanted[128], text[8192];

    snprintf(events, sizeof events, "%s/events", f->directory);
    f->processes.event_log = events;
    handler_open(f);
    handler_submit(f, "t", "exit 0");
    handler_await_gone(f, "t");
    handler_close(f);
    FILE *file = fopen(events, "re");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(count_text(text, "\n"), 4);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        snprintf(wanted, sizeof wanted, "\"node\":\"node\",\"event\":\"%s\",\"task\":\"t\"",
                 steps[i]);
        assert_int_equal(count_text(text, wanted), 1);
    }
}

static void count_free(void *payload)
{
    ++*(int *)payload;
}

/* Options that break a rule are refused with a text, and what they bring is freed once. */
static void test_refusals(void **state)
{
    handler_fixture *f = *state;
    mf_process_options good = MF_PROCESS_OPTIONS_INIT, bad[9];
    mf_state_options states = MF_STATE_OPTIONS_INIT;
    static const char *const texts[] = {"options: version 9",
                                        "stop_signal: 1000",
                                        "stop_grace_ms: -1 is not between 1 and 86400000",
                                        "event_log: /no/such/events: No such",
                                        "stop_signal: -1 is not between 1 and",
                                        "stop_grace_ms: 86400001 is not",
                                        "output_directory: empty",
                                        "output_directory: longer than 3839 bytes",
                                        "event_log: empty"};
    char long_path[3841];
    mf_error error;
    int freed = 0;

    (void)f;
    good.free = count_free;
    good.payload = &freed;
    memset(long_path, 'x', 3840);
    long_path[3840] = '\0';
    for (int i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].version = 9;
    bad[1].stop_signal = 1000;
    bad[2].stop_grace_ms = -1;
    bad[3].event_log = "/no/such/events";
    bad[4].stop_signal = -1;
    bad[5].stop_grace_ms = 86400001;
    bad[6].output_directory = "";
    bad[7].output_directory = long_path;
    bad[8].event_log = "";
    for (int i = 0; i < 9; i++) {
        int version = mf_process_handler(&bad[i], &error).version;
        assert_int_equal(version, error.code);
        assert_int_equal(strncmp(error.text, texts[i], strlen(texts[i])), 0);
        assert_int_equal(freed, i + 1);
    }
    states.max_errors = -1;
    states.free = count_free;
    states.payload = &freed;
    mf_handler refused = mf_process_stateful_handler(&good, &states, &error);
    assert_int_equal(refused.version, MF_EINVAL);
    assert_string_equal(error.text, "states: max_errors: not between 0 and 500");
    refused.free(refused.payload);
    assert_int_equal(freed, 11);
    assert_int_equal(handler_child(""), 0);
}

/* A handler that was never used takes its guard with it. */
static void test_unused(void **state)
{
    mf_process_options options = MF_PROCESS_OPTIONS_INIT;

    (void)state;
    mf_handler handler = mf_process_handler(&options, NULL);
    assert_int_not_equal(handler_child(""), 0); /* it may not have its name yet */
    handler.free(handler.payload);
    assert_int_equal(handler_child(""), 0);
}

/* Handlers that have run a task and are freed leave no process, no descriptor and no zombie. */
static void test_nothing_is_left(void **state)
{
    handler_fixture *f = *state;
    char id[32];

    handler_open(f);
    handler_close(f);
    resources before = resources_now();
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "t%d", i);
        handler_open(f);
        handler_submit(f, id, "exit 0");
        handler_await_gone(f, id);
        handler_close(f);
    }
    resources_assert_same(before, 65536);
    assert_int_equal(handler_child(""), 0);
}

/* A program of its own, to be stopped and killed, with a task whose command holds the FIFO open. */
static pid_t start_host(handler_fixture *f)
{
    void *inner = NULL;
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (handler_setup(&inner) != 0)
        _exit(1);
    handler_fixture *mine = inner;
    directory_remove(mine->directory);
    setenv("D", f->directory, 1);
    mine->processes.output_directory = f->directory;
    handler_open(mine);
    handler_submit(mine, "t", "exec 9>$D/alive; echo >&9; " IGNORE_TERM);
    mf_loop_run(mine->loop);
    _exit(0);
}

/* Hurts the host and returns the milliseconds until nothing of the command is left. */
static int64_t until_dead(handler_fixture *f, int signal_number)
{
    char path[256], byte = 0;

    snprintf(path, sizeof path, "%s/alive", f->directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    pid_t host = start_host(f);
    int fifo = open(path, O_RDONLY); /* when the command has opened it */
    assert_int_equal(read(fifo, &byte, 1), 1);
    int64_t before = clock_ms();
    kill(host, signal_number);
    while (read(fifo, &byte, 1) > 0)
        continue;
    int64_t after = clock_ms();
    close(fifo);
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    return after - before;
}

/* A command is dead before the lease ends although its program is stopped and cannot end it. */
static void test_host_stopped(void **state)
{
    assert_in_range(until_dead(*state, SIGSTOP), PROCESS_LEASE_MS / 2, PROCESS_LEASE_MS + SLACK_MS);
}

/* When its program is killed a command dies at once. */
static void test_host_killed(void **state)
{
    assert_in_range(until_dead(*state, SIGKILL), 0, SLACK_MS);
}

static void stop_guard_with_task(const char *text)
{
    if (strstr(text, "must stop") != NULL)
        kill(handler_child("metafora-guard"), SIGSTOP);
}

static void start_nothing(mf_task *task, void *payload)
{
    (void)payload;
    mf_task_finish(task, MF_RELEASE);
}

static void stop_nothing(mf_task *task, mf_stop_reason reason, void *payload)
{
    (void)task;
    (void)reason;
    (void)payload;
}

static bool thief_closed;

static void on_thief_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    (void)consumer;
    (void)payload;
    thief_closed |= event == MF_CONSUMER_CLOSED;
}

static bool thief_is_closed(handler_fixture *f, const void *arg)
{
    (void)f;
    (void)arg;
    return thief_closed;
}

/* Takes the node's session away, and with it its claims. */
static mf_consumer *open_thief(handler_fixture *f)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_consumer *thief = NULL;

    options.broker = f->broker_url;
    options.name_space = "test";
    options.loop = f->loop;
    options.name = "node";
    options.takeover = true;
    options.lease_ms = PROCESS_LEASE_MS;
    options.handler = mf_evented_handler(start_nothing, stop_nothing, NULL);
    options.on_event = on_thief_event;
    options.payload = f;
    assert_int_equal(mf_consumer_open(&thief, &options, NULL), MF_OK);
    mf_consumer_freeze(thief);
    return thief;
}

static bool time_has_come(handler_fixture *f, const void *arg)
{
    return mf_loop_now_us(f->loop) >= *(const int64_t *)arg;
}

static bool is_stopped(handler_fixture *f, const void *arg)
{
    (void)arg;
    return strstr(f->log, "must stop") != NULL;
}

/* A guard that is only slow when leases end, as on a machine with too much to do, is not taken
 * for one that hangs: it kills the command when it can, and goes on. */
static void test_slow_guard(void **state)
{
    handler_fixture *f = *state;

    handler_open(f);
    handler_submit(f, "t", "echo on; " IGNORE_TERM);
    handler_await_output(f, "t", "on");
    f->on_line = stop_guard_with_task;
    mf_consumer *thief = open_thief(f);
    handler_await(f, is_stopped, NULL);
    int64_t later_us = mf_loop_now_us(f->loop) + 500000;
    handler_await(f, time_has_come, &later_us);
    kill(handler_child("metafora-guard"), SIGCONT);
    handler_await_output(f, "t", "signal 9 (Killed)");
    assert_null(strstr(f->log, "the guard process is gone"));
    mf_consumer_shutdown(thief);
    handler_await(f, thief_is_closed, NULL);
    mf_consumer_free(thief);
}

#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, handler_setup, handler_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(test_plain_ends),   PROCESS_TEST(test_stateful_ends),
        PROCESS_TEST(test_retries),      PROCESS_TEST(test_own_rule),
        PROCESS_TEST(test_usage),        PROCESS_TEST(test_info),
        PROCESS_TEST(test_output),       PROCESS_TEST(test_output_to_stderr),
        PROCESS_TEST(test_slow_guard),   PROCESS_TEST(test_output_that_cannot_be_opened),
        PROCESS_TEST(test_messages),     PROCESS_TEST(test_messages_that_change_nothing),
        PROCESS_TEST(test_grace),        PROCESS_TEST(test_stop_signal),
        PROCESS_TEST(test_guard_lost),   PROCESS_TEST(test_scribe_lost),
        PROCESS_TEST(test_event_log),    PROCESS_TEST(test_refusals),
        PROCESS_TEST(test_unused),       PROCESS_TEST(test_nothing_is_left),
        PROCESS_TEST(test_host_stopped), PROCESS_TEST(test_host_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
