/* The contract suite on the in-process broker. */
#include "fixture.h"

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

int main(int argc, char **argv)
{
    fixture embedded = {
        .name = "embedded",
        .driver = &mf_embedded_driver,
        .lease_ms = 600,
        .expiry_slack_ms = 20,
        .abilities = NEEDS_STATES | NEEDS_HELD,
        .lacks = {{NEEDS_LINK, "there is no link between an in-process broker and its user"},
                  {NEEDS_SERVER, "the broker is no process of its own"},
                  {NEEDS_PERSISTENCE, "the store lives as long as a handle on it"},
                  {NEEDS_SCRIPTS, "there are no scripts"},
                  {NEEDS_HINT_CUT, "hints have no connection"},
                  {NEEDS_TAMPER, "nothing but the driver reaches the store"},
                  {0, NULL}},
        .start = start,
        .stop = stop,
        .url = url,
        .link_url = url,
    };
    return contract_run(&embedded, argc > 1 ? argv[1] : NULL);
}
