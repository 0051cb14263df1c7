/* The contract suite on the in-process broker, with a link before it that can be troubled. */
#include "embedded_link.h"
#include "fixture.h"
#include "process.h"

/* What consumers open by a URL. */
const mf_driver *const mf_linked_driver = &embedded_link_driver;

static bool start(fixture *me)
{
    (void)me;
    return true;
}

static void stop(fixture *me)
{
    (void)me;
}

static const char *url(fixture *me)
{
    (void)me;
    return "embedded://contract";
}

static const char *link_url(fixture *me)
{
    (void)me;
    return "troubled://contract";
}

static void set_link(fixture *me, link_state state)
{
    (void)me;
    switch (state) {
    case LINK_PASS:
        embedded_link_set(EMBEDDED_PASS);
        break;
    case LINK_CUT:
        embedded_link_cut();
        break;
    case LINK_SILENT:
        embedded_link_set(EMBEDDED_SILENT);
        break;
    case LINK_LOSE_REPLIES:
        embedded_link_set(EMBEDDED_LOSE_REPLIES);
        break;
    }
}

static void slow_link(fixture *me, int round_trip_ms)
{
    (void)me;
    embedded_link_delay(round_trip_ms * INT64_C(1000));
}

static void heal(fixture *me)
{
    set_link(me, LINK_PASS);
    slow_link(me, 0);
}

int main(int argc, char **argv)
{
    fixture embedded = {
        .name = "embedded",
        .driver = &embedded_link_driver,
        .lease_ms = 600,
        .expiry_slack_ms = 20,
        .abilities = NEEDS_STATES | NEEDS_LINK | NEEDS_HELD | NEEDS_HOLDS,
        .lacks = {{NEEDS_SERVER, "the broker is no process of its own"},
                  {NEEDS_PERSISTENCE, "the store lives as long as a handle on it"},
                  {NEEDS_SCRIPTS, "there are no scripts"},
                  {NEEDS_HINT_CUT, "hints have no connection"},
                  {NEEDS_TAMPER, "nothing but the driver reaches the store"},
                  {0, NULL}},
        .start = start,
        .stop = stop,
        .url = url,
        .link_url = link_url,
        .heal = heal,
        .set_link = set_link,
        .slow_link = slow_link,
    };
    process_outrank_others();
    return contract_run(&embedded, argc > 1 ? argv[1] : NULL);
}
