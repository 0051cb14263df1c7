/* A consumer with a process handler, on the embedded broker and a real loop. */
#include "handler_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

enum { PATIENCE_US = 10000000, LOOK_US = 5000 };

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    handler_fixture *f = arg;
    size_t used = strlen(f->log);

    (void)level;
    snprintf(f->log + used, sizeof f->log - used, "%s: %s\n", subsystem, text);
    if (f->on_line != NULL)
        f->on_line(text);
}

static void stop_loop(void *arg)
{
    handler_fixture *f = arg;
    mf_loop_stop(f->loop);
}

static void look(void *arg)
{
    handler_fixture *f = arg;

    f->met = f->condition(f, f->arg);
    if (f->met)
        mf_loop_stop(f->loop);
    else
        mf_timer_start(f->loop, &f->look, mf_loop_now_us(f->loop) + LOOK_US);
}

int handler_setup(void **state)
{
    static int number;
    handler_fixture *f = calloc(1, sizeof *f);
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;

    f->directory = directory_new();
    setenv("D", f->directory, 1);
    snprintf(f->broker_url, sizeof f->broker_url, "embedded://process-%d", number++);
    f->processes = (mf_process_options)MF_PROCESS_OPTIONS_INIT;
    f->processes.output_directory = f->directory;
    f->processes.payload = f;
    f->states = (mf_state_options)MF_STATE_OPTIONS_INIT;
    mf_timer_init(&f->look, look, f);
    mf_timer_init(&f->patience, stop_loop, f);
    options.name_space = "test";
    *state = f;
    if (mf_loop_new(&f->loop, NULL) != MF_OK)
        return -1;
    mf_loop_set_log(f->loop, on_log, f, MF_LOG_DEBUG);
    if (mf_broker_open(&f->broker, f->broker_url, &options, f->loop, NULL) != MF_OK)
        return -1;
    return mf_client_open(&f->client, f->broker, NULL);
}

int handler_teardown(void **state)
{
    handler_fixture *f = *state;

    handler_close(f);
    mf_client_close(f->client);
    mf_broker_close(f->broker, stop_loop, f);
    mf_loop_run(f->loop);
    mf_loop_free(f->loop);
    directory_remove(f->directory);
    free(f);
    return 0;
}

static void on_event(mf_consumer *consumer, mf_consumer_event event, void *payload)
{
    handler_fixture *f = payload;

    (void)consumer;
    if (event == MF_CONSUMER_CLOSED)
        f->closed = true;
}

static void open_with(handler_fixture *f, mf_handler handler)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    mf_error error = {.code = MF_OK};

    options.broker_handle = f->broker;
    options.loop = f->loop;
    options.name = "node";
    options.lease_ms = PROCESS_LEASE_MS;
    options.reclaim_delay_ms = 50;
    options.handler = handler;
    options.on_event = on_event;
    options.payload = f;
    f->closed = false;
    if (mf_consumer_open(&f->consumer, &options, &error) != MF_OK)
        fail_msg("%s", error.text);
}

void handler_open(handler_fixture *f)
{
    open_with(f, mf_process_handler(&f->processes, NULL));
}

void handler_open_stateful(handler_fixture *f)
{
    open_with(f, mf_process_stateful_handler(&f->processes, &f->states, NULL));
}

static bool is_closed(handler_fixture *f, const void *arg)
{
    (void)arg;
    return f->closed;
}

void handler_close(handler_fixture *f)
{
    if (f->consumer == NULL)
        return;
    mf_consumer_shutdown(f->consumer);
    handler_await(f, is_closed, NULL);
    mf_consumer_free(f->consumer);
    f->consumer = NULL;
}

void handler_submit(handler_fixture *f, const char *id, const char *script)
{
    char properties[2048];
    mf_task_spec task = {.id = id, .properties = properties};
    mf_error error = {.code = MF_OK};

    snprintf(properties, sizeof properties, "{\"args\":[\"sh\",\"-c\",\"%s\"]}", script);
    if (mf_client_submit(f->client, &task, 1, NULL, NULL, &error) != MF_OK)
        fail_msg("%s", error.text);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
}

void handler_tell(handler_fixture *f, const char *id, mf_message message)
{
    assert_int_equal(mf_client_tell(f->client, &id, 1, &message, NULL, NULL, NULL), MF_OK);
    assert_int_equal(mf_client_wait(f->client, NULL), MF_OK);
}

void handler_await(handler_fixture *f, bool (*condition)(handler_fixture *f, const void *arg),
                   const void *arg)
{
    int64_t now = mf_loop_now_us(f->loop);

    f->condition = condition;
    f->arg = arg;
    f->met = false;
    mf_timer_start(f->loop, &f->look, now);
    mf_timer_start(f->loop, &f->patience, now + PATIENCE_US);
    mf_loop_run(f->loop);
    mf_timer_stop(f->loop, &f->look);
    mf_timer_stop(f->loop, &f->patience);
    if (!f->met)
        fail_msg("in vain: %s", f->log);
}

char *handler_output(handler_fixture *f, const char *id)
{
    char *path = mf_process_output_path(f->directory, id);
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 65536);

    if (file != NULL) {
        text[fread(text, 1, 65535, file)] = '\0';
        fclose(file);
    }
    free(path);
    return text;
}

size_t count_text(const char *text, const char *wanted)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at += strlen(wanted))
        count++;
    return count;
}

typedef struct wanted {
    const char *id, *text;
} wanted;

static bool has_output(handler_fixture *f, const void *arg)
{
    const wanted *w = arg;
    char *text = handler_output(f, w->id);
    bool has = strstr(text, w->text) != NULL;

    free(text);
    return has;
}

void handler_await_output(handler_fixture *f, const char *id, const char *text)
{
    wanted w = {id, text};
    handler_await(f, has_output, &w);
}

static void on_looked_up(const mf_error *error, const mf_task_record *tasks, size_t count,
                         bool last, void *arg)
{
    (void)last;
    if (error == NULL && count == 1)
        *(int *)arg = tasks[0].code;
}

static bool is_gone(handler_fixture *f, const void *arg)
{
    const char *id = arg;
    int code = MF_OK;

    mf_client_lookup(f->client, &id, 1, on_looked_up, &code, NULL);
    mf_client_wait(f->client, NULL);
    return code == MF_EGONE;
}

/* mf_client_wait runs the loop, so not from a callback of it. */
void handler_await_gone(handler_fixture *f, const char *id)
{
    int64_t last = mf_loop_now_us(f->loop) + PATIENCE_US;

    while (!is_gone(f, id))
        if (mf_loop_now_us(f->loop) > last)
            fail_msg("%s is still there: %s", id, f->log);
}

static void on_states(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                      void *arg)
{
    (void)last;
    if (error == NULL && count == 1 && states[0].json != NULL)
        *(char **)arg = strdup(states[0].json);
}

char *handler_state(handler_fixture *f, const char *id)
{
    char *json = NULL;

    mf_client_lookup_states(f->client, &id, 1, on_states, &json, NULL);
    mf_client_wait(f->client, NULL);
    return json != NULL ? json : strdup("");
}

void handler_await_state(handler_fixture *f, const char *id, mf_state_code code)
{
    int64_t last = mf_loop_now_us(f->loop) + PATIENCE_US;
    char start[64];
    bool same = false;

    snprintf(start, sizeof start, "{\"state\":\"%s\"", mf_state_text(code));
    while (!same) {
        char *json = handler_state(f, id);
        same = strncmp(json, start, strlen(start)) == 0;
        if (!same && mf_loop_now_us(f->loop) > last)
            fail_msg("%s is %s, not %s: %s", id, json, mf_state_text(code), f->log);
        free(json);
    }
}

mf_consumer_statistics handler_statistics(const handler_fixture *f)
{
    mf_consumer_statistics statistics = MF_CONSUMER_STATISTICS_INIT;

    mf_consumer_get_statistics(f->consumer, &statistics);
    return statistics;
}

pid_t handler_child(const char *name)
{
    char path[64], comm[64];
    int pid = 0, found = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *children = fopen(path, "re");
    while (found == 0 && children != NULL && fscanf(children, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *file = fopen(path, "re");
        if (file != NULL && fgets(comm, sizeof comm, file) != NULL &&
            strncmp(comm, name, strlen(name)) == 0)
            found = pid;
        if (file != NULL)
            fclose(file);
    }
    if (children != NULL)
        fclose(children);
    return found;
}
