/* The floors: the driver's own scripts, or transactions, called by the least client. */
#ifndef MF_BENCH_FLOOR_H
#define MF_BENCH_FLOOR_H

#include "versus.h"

/* The work to be measured, which leaves the server empty; NULL when the broker is not a private
 * server, and so has no floor. */
versus_work floor_claim(const bench_rig *rig);
versus_work floor_submit(const bench_rig *rig);

/* The floor of a single start: submit.lua, and when it has answered claim.lua, for one task. NULL
 * without a private Redis. */
typedef struct floor_client floor_client;
floor_client *floor_start_open(bench_rig *rig, const rig_tasks *tasks);
/* Seconds that task number `index` took. */
double floor_start(floor_client *client, size_t index);
/* Leaves the server empty. */
void floor_start_close(floor_client *client);

#endif
