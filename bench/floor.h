/* The floors: the driver's own scripts, called by the least client. */
#ifndef MF_BENCH_FLOOR_H
#define MF_BENCH_FLOOR_H

#include "versus.h"

/* The work to be measured, which leaves the server empty; NULL when the broker is not a private
 * server, and so has no floor. */
versus_work floor_claim(const bench_rig *rig);
versus_work floor_submit(const bench_rig *rig);

#endif
