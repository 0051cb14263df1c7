/* Included before each source of the coordinator, the consumer and the state machine in
 * test_memory: their allocations, timers and reads of JSON fail when the test says so. */
#ifndef MF_TESTS_FAULTY_H
#define MF_TESTS_FAULTY_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <metafora/loop.h>

/* Counts the call; true: it is to fail. */
bool faulty_now(void);

#define malloc(size) (faulty_now() ? NULL : malloc(size))
#define calloc(count, size) (faulty_now() ? NULL : calloc(count, size))
#define realloc(memory, size) (faulty_now() ? NULL : realloc(memory, size))
#undef strdup
#define strdup(text) (faulty_now() ? NULL : strdup(text))
#define asprintf(...) (faulty_now() ? -1 : asprintf(__VA_ARGS__))
#ifndef MF_TIMERS_START
#define mf_timer_start(...) (faulty_now() ? MF_ENOMEM : mf_timer_start(__VA_ARGS__))
#endif
#define cJSON_ParseWithLength(...) (faulty_now() ? NULL : cJSON_ParseWithLength(__VA_ARGS__))

#endif
