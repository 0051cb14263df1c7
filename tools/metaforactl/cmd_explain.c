/* metaforactl explain: why a task is where it is, and what a balance would move. */
#include "commands.h"
#include "common/show.h"
#include "json.h"

typedef struct answer {
    bool as_json;
    int status;
} answer;

static void put(const mf_placement *placement)
{
    json out = {.to = stdout};

    json_open(&out, NULL, '{');
    json_text(&out, "id", placement->id);
    json_text(&out, "node", placement->owner);
    json_count(&out, "fence", placement->fence);
    json_count(&out, "crashes", placement->crashes);
    json_flag(&out, "set_aside", placement->set_aside);
    json_text(&out, "home", placement->home);
    json_count(&out, "held", placement->held);
    json_number(&out, "share", placement->share);
    json_number(&out, "excess", placement->excess);
    json_text(&out, "explanation", placement->text);
    json_close(&out, '}');
    json_line(&out);
}

static void on_placement(const mf_error *error, const mf_placement *placement, void *arg)
{
    answer *me = arg;

    if (error != NULL) {
        me->status = ctl_complain(error);
    } else if (placement->code == MF_EGONE) {
        show_complaint(placement->id, mf_strerror(MF_EGONE));
        me->status = CTL_NOT_ALL;
    } else if (me->as_json) {
        put(placement);
    } else {
        show(stdout, placement->id);
        fputs(": ", stdout);
        show(stdout, placement->text);
        putchar('\n');
    }
}

static int run(ctl_run *ctl, char **operands)
{
    answer me = {.as_json = ctl->json};
    mf_error error;
    int code = mf_client_explain(ctl->client, operands[0], 0, on_placement, &me, &error);
    return ctl_finish(ctl, code, &error, &me.status);
}

const ctl_command command_explain = {
    .name = "explain",
    .usage = "[options] ID",
    .summary = "Says why a task is where it is, and what a balance would move.",
    .least = 1,
    .most = 1,
    .run = run,
};
