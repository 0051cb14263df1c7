/* How tasks are shown. */
#include "records.h"

const char *record_status(const mf_task_record *task)
{
    if (task->code == MF_EDAMAGED)
        return "damaged";
    if (task->owner != NULL)
        return "running";
    return task->set_aside ? "set-aside" : "waiting";
}

void record_json(json *out, const mf_task_record *task)
{
    json_text(out, "id", task->id);
    json_text(out, "status", record_status(task));
    json_text(out, "node", task->owner);
    json_count(out, "fence", task->fence);
    json_count(out, "crashes", task->crashes);
    if (task->properties != NULL && task->code == MF_OK)
        json_raw(out, "properties", task->properties);
    else
        json_text(out, "properties", NULL);
}
