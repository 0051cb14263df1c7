/* Reading a task from a line of JSON. */
#include "line_task.h"

#include <stdlib.h>
#include <string.h>

#include <metafora/driver.h>

#include "common/when.h"
#include "members.h"

static bool is_among(const char *const *names, const char *name)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static int read_time(int64_t *out, const char *value, mf_error *error)
{
    char *text;
    int code = member_string(&text, "not_before", value, error);

    if (code != MF_OK)
        return code;
    code = when_parse(out, "not_before", text, error);
    free(text);
    return code;
}

static int take(line_task *task, const json_member *member, const char *const *others,
                mf_error *error)
{
    const char *name = member->name, *value = member->value;

    if (strcmp(name, "id") == 0 && task->id == NULL)
        return member_string(&task->id, "id", value, error);
    if (strcmp(name, "properties") == 0 && task->properties == NULL) {
        task->properties = value;
        return mf_check_properties("properties", value, error);
    }
    if (strcmp(name, "not_before") == 0 && task->not_before_us == 0)
        return member_is_null(value) ? MF_OK : read_time(&task->not_before_us, value, error);
    if (!is_among(others, name))
        return mf_error_set(error, MF_EINVAL,
                            "'%.60s': is none of id, properties, not_before%s, or is there twice",
                            name, others[0] != NULL ? ", state" : "");
    if (strcmp(name, "state") == 0)
        task->state = member_is_null(value) ? NULL : value;
    if (strcmp(name, "ended") == 0)
        task->ended = strcmp(value, "true") == 0;
    return MF_OK;
}

int line_task_read(line_task *out, char *line, const char *const *others, mf_error *error)
{
    json_member member;
    int more;

    *out = (line_task){0};
    while ((more = member_next(&line, &member, error)) == 1) {
        more = take(out, &member, others, error);
        if (more != MF_OK)
            break;
    }
    if (more == MF_OK && out->id != NULL)
        more = mf_check_task_id("id", out->id, error);
    return more;
}

void line_task_clear(line_task *task)
{
    free(task->id);
}
