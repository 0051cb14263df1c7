/* How tasks are shown, by whichever command. */
#ifndef METAFORACTL_RECORDS_H
#define METAFORACTL_RECORDS_H

#include <metafora/client.h>

#include "json.h"

/* "running", "waiting", "set-aside" or "damaged". */
const char *record_status(const mf_task_record *task);

/* Its members, for an object that is open. */
void record_json(json *out, const mf_task_record *task);

#endif
