/* Help for the cases of the contract suite, and its main loop. */
#include "contract.h"

typedef struct keepsake {
    struct keepsake *next;
    max_align_t data[];
} keepsake;

void *keep(contract *c, size_t size)
{
    keepsake *kept = calloc(1, sizeof *kept + size);
    kept->next = c->kept;
    c->kept = kept;
    return kept->data;
}

char *keep_text(contract *c, const char *format, ...)
{
    char *text, *kept;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    assert_true(length >= 0);
    kept = memcpy(keep(c, (size_t)length + 1), text, (size_t)length + 1);
    free(text);
    return kept;
}

typedef struct ending {
    struct ending *next;
    void (*fn)(void *arg);
    void *arg;
} ending;

void at_end(contract *c, void (*fn)(void *arg), void *arg)
{
    ending *one = keep(c, sizeof *one);
    *one = (ending){c->endings, fn, arg};
    c->endings = one;
}

/* Waiting. */

static void on_bound(void *arg)
{
    contract *c = arg;
    c->timed_out = true;
    mf_loop_stop(c->loop);
}

void poke(contract *c)
{
    if (c->until != NULL && c->until(c->until_arg))
        mf_loop_stop(c->loop);
}

bool wait_until(contract *c, bool (*condition)(void *arg), void *arg, int bound_ms)
{
    mf_timer bound;

    if (condition(arg))
        return true;
    c->until = condition;
    c->until_arg = arg;
    c->timed_out = false;
    mf_timer_init(&bound, on_bound, c);
    mf_timer_start(c->loop, &bound, mf_loop_now_us(c->loop) + bound_ms * INT64_C(1000));
    while (!c->timed_out && !condition(arg))
        mf_loop_run(c->loop);
    mf_timer_stop(c->loop, &bound);
    c->until = NULL;
    return condition(arg);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void pass_time(contract *c, int ms)
{
    wait_until(c, never, NULL, ms);
}

/* Brokers. */

mf_broker_options contract_options(const contract *c)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    options.name_space = c->name_space;
    return options;
}

mf_broker *open_broker(contract *c, const char *url, bool wait_for_broker)
{
    const mf_driver *const drivers[] = {c->fixture->driver, NULL};
    mf_broker_options options = contract_options(c);
    mf_broker *broker;
    mf_error error;

    options.wait_for_broker = wait_for_broker;
    if (mf_broker_open_any(&broker, url, &options, c->loop, drivers, &error) != MF_OK)
        fail_msg("%s", error.text);
    c->brokers++;
    return broker;
}

static void on_broker_closed(void *arg)
{
    contract *c = arg;
    c->brokers--;
    poke(c);
}

void close_broker(contract *c, mf_broker *broker)
{
    mf_broker_close(broker, on_broker_closed, c);
}

static bool brokers_closed(void *arg)
{
    return ((contract *)arg)->brokers == 0;
}

/* Runs a case with a contract of its own. */

typedef struct run_state {
    fixture *fixture;
    const contract_case *one;
    contract *c;
    bool passed;
} run_state;

static void on_log(mf_log_level level, const char *subsystem, const char *text, void *arg)
{
    contract *c = arg;
    fprintf(c->log, "  %9lld us  %d %s: %s\n", (long long)mf_loop_now_us(c->loop) % 1000000000,
            (int)level, subsystem, text);
}

static void print_log(contract *c)
{
    char line[512];
    rewind(c->log);
    while (fgets(line, sizeof line, c->log) != NULL)
        print_error("%s", line);
}

void log_here(contract *c, mf_loop *loop)
{
    mf_loop_set_log(loop, on_log, c, MF_LOG_INFO);
}

static int set_up(void **state)
{
    static unsigned number;
    run_state *run = *state;
    contract *c = calloc(1, sizeof *c);

    c->fixture = run->fixture;
    snprintf(c->name_space, sizeof c->name_space, "contract-%u", ++number);
    run->c = c;
    c->log = tmpfile();
    if (c->log == NULL || mf_loop_new(&c->loop, NULL) != MF_OK)
        return -1;
    log_here(c, c->loop);
    return 0;
}

static void free_kept(contract *c)
{
    while (c->kept != NULL) {
        keepsake *kept = c->kept;
        c->kept = kept->next;
        free(kept);
    }
}

static int tear_down(void **state)
{
    run_state *run = *state;
    contract *c = run->c;

    if (c->fixture->heal != NULL)
        c->fixture->heal(c->fixture);
    for (ending *one = c->endings; one != NULL; one = one->next)
        one->fn(one->arg);
    for (peer *p = c->peers; p != NULL; p = p->next)
        peer_close(p);
    bool closed = wait_until(c, brokers_closed, c, REPLY_BOUND_MS);
    for (call *one = c->calls; closed && one != NULL; one = one->next)
        if (one->answers != 1) {
            print_error("a request was answered %u times\n", one->answers);
            closed = false;
        }
    if (!run->passed || !closed)
        print_log(c);
    mf_loop_free(c->loop);
    fclose(c->log);
    free_kept(c);
    free(c);
    return closed ? 0 : -1;
}

static void run_case(void **state)
{
    run_state *run = *state;
    run->one->run(run->c);
    run->passed = true;
}

static const contract_case *const files[] = {
    claim_cases,    lease_cases,    session_cases, task_cases,   command_cases,
    input_cases,    lifetime_cases, link_cases,    server_cases, coordinator_cases,
    consumer_cases, state_cases,    hold_cases,
};
enum { FILE_COUNT = sizeof files / sizeof files[0], MAX_CASES = 256 };

static const char *why_not(const fixture *on, unsigned needs)
{
    for (size_t i = 0; on->lacks[i].why != NULL; i++)
        if ((needs & ~on->abilities & (unsigned)on->lacks[i].ability) != 0)
            return on->lacks[i].why;
    return "this fixture cannot do it";
}

static size_t gather(fixture *on, run_state *states, struct CMUnitTest *tests)
{
    size_t count = 0;
    for (size_t i = 0; i < FILE_COUNT; i++)
        for (const contract_case *one = files[i]; one->name != NULL; one++) {
            if ((one->needs & ~on->abilities) != 0) {
                print_message("[  SKIPPED ] %s: %s\n", one->name, why_not(on, one->needs));
                continue;
            }
            assert_true(count < MAX_CASES);
            states[count] = (run_state){.fixture = on, .one = one};
            tests[count] =
                (struct CMUnitTest){one->name, run_case, set_up, tear_down, &states[count]};
            count++;
        }
    return count;
}

int contract_run(fixture *on, const char *filter)
{
    static run_state states[MAX_CASES];
    static struct CMUnitTest tests[MAX_CASES];

    if (!on->start(on)) {
        print_error("%s: the broker could not be started\n", on->name);
        return 1;
    }
    if (filter != NULL)
        cmocka_set_test_filter(filter);
    size_t count = gather(on, states, tests);
    int failed = _cmocka_run_group_tests(on->name, tests, count, NULL, NULL);
    on->stop(on);
    return failed;
}
