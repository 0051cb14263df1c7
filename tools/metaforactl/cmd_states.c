/* metaforactl states: of tasks with stateful handlers, those that are gone included. */
#include <fnmatch.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "table.h"

static const char *match;

static const option_entry options[] = {
    {"match", OPTION_TEXT, "PATTERN", &match, 0, 0,
     "only ids that match, as a shell does it: 'import-*'"},
};

typedef struct listing {
    text_table *table; /* NULL: JSON */
    int status;
} listing;

static void put(const mf_state_record *record)
{
    json out = {.to = stdout};

    json_open(&out, NULL, '{');
    json_text(&out, "id", record->id);
    if (record->code == MF_OK) {
        json_raw(&out, "state", record->json);
    } else {
        json_text(&out, "error", mf_error_name(record->code));
        json_text(&out, "damaged", record->json);
    }
    json_close(&out, '}');
    json_line(&out);
}

static const char *until_of(const mf_state *state, char text[MF_TIME_SIZE])
{
    return state->has_until && mf_time_format(text, &state->until, NULL) == MF_OK ? text : NULL;
}

static void show_row(text_table *to, const mf_state_record *record)
{
    const mf_state *state = record->state;
    char until[MF_TIME_SIZE];

    table_text(to, record->id);
    if (record->code != MF_OK || state == NULL) {
        table_text(to, "damaged");
        table_text(to, NULL);
        table_text(to, NULL);
        table_text(to, record->json);
        return;
    }
    table_text(to, mf_state_text(state->code));
    table_text(to, until_of(state, until));
    table_count(to, state->error_count);
    table_text(to, state->error_count > 0 ? state->errors[state->error_count - 1].text : NULL);
}

static void on_states(const mf_error *error, const mf_state_record *states, size_t count, bool last,
                      void *arg)
{
    listing *to = arg;

    (void)last;
    if (error != NULL)
        to->status = ctl_complain(error);
    for (size_t i = 0; error == NULL && i < count; i++) {
        if (match != NULL && fnmatch(match, states[i].id, 0) != 0)
            continue;
        if (to->table != NULL)
            show_row(to->table, &states[i]);
        else
            put(&states[i]);
    }
}

/* The bits of the states that are named; false: one is no state, or named twice. */
static bool read_codes(unsigned *codes, char **names)
{
    for (*codes = 0; *names != NULL; names++) {
        unsigned before = *codes;
        for (int code = MF_STATE_RUNNABLE; code <= MF_STATE_FAILED; code++)
            if (strcmp(*names, mf_state_text((mf_state_code)code)) == 0)
                *codes |= 1u << code;
        if (*codes == before)
            return false;
    }
    return true;
}

static int run(ctl_run *ctl, char **operands)
{
    static const table_column columns[] = {
        {"ID", false}, {"STATE", false}, {"UNTIL", false}, {"ERRORS", true}, {"LAST ERROR", false}};
    listing to = {.table = NULL};
    mf_error error;
    unsigned codes;

    if (!read_codes(&codes, operands))
        return options_complain(ctl->table, "states are runnable, sleeping, paused, fault, "
                                            "completed, killed, failed, each once");
    if (!ctl->json)
        to.table = table_new(stdout, columns, sizeof columns / sizeof *columns);
    int code = mf_client_states(ctl->client, codes, on_states, &to, &error);
    int status = ctl_finish(ctl, code, &error, &to.status);
    if (status == CTL_DONE)
        table_end(to.table);
    else
        table_drop(to.table);
    return status;
}

const ctl_command command_states = {
    .name = "states",
    .usage = "[options] [STATE...]",
    .summary = "Lists the states of tasks with stateful handlers, also of tasks that are gone.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = 7,
    .run = run,
};
