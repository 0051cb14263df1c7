/* A task that takes its whole process down: it is set aside after some of them, and all other tasks
 * complete. */
#ifndef MF_TESTS_CRASH_LOOP_H
#define MF_TESTS_CRASH_LOOP_H

#include "state_slots.h"

/* Runs the test on a broker that other processes can reach; how many failed. */
int crash_loop_run(const slots_broker *broker);

#endif
