/* What drivers promise about states, messages, crash counts and delays, by their slots alone. */
#ifndef MF_TESTS_STATE_SLOTS_H
#define MF_TESTS_STATE_SLOTS_H

#include <metafora/driver.h>

typedef struct slots_broker {
    const char *name;
    const mf_driver *driver;
    const char *(*start)(void); /* its URL; each test has a namespace of its own there */
    void (*stop)(void);
} slots_broker;

/* Runs all tests; how many failed. */
int state_slots_run(const slots_broker *broker);

#endif
