/* Commands to this node, from the broker or from the program. */
#include "consumer/internal.h"

void mf_consumer_freeze(mf_consumer *me)
{
    me->frozen = true;
    mf__consumer_announce(me);
}

void mf_consumer_unfreeze(mf_consumer *me)
{
    me->frozen = false;
    mf__consumer_announce(me);
    mf__offers_pump_soon(me);
}

bool mf_consumer_frozen(const mf_consumer *me)
{
    return me->frozen;
}

int mf_consumer_stop_task(mf_consumer *me, const char *task_id)
{
    mf_task *task = mf__task_find(me, task_id);

    if (task == NULL || task->state != TASK_RUNNING)
        return MF_EGONE;
    mf__task_stop(task, MF_STOP_COMMAND);
    return MF_OK;
}

static void execute(mf_consumer *me, const mf_command *command)
{
    switch (command->verb) {
    case MF_COMMAND_FREEZE:
        mf_consumer_freeze(me);
        break;
    case MF_COMMAND_UNFREEZE:
        mf_consumer_unfreeze(me);
        break;
    case MF_COMMAND_BALANCE:
        mf_consumer_balance(me);
        break;
    case MF_COMMAND_STOP_TASK:
        if (mf_consumer_stop_task(me, command->task) != MF_OK)
            mf_log(me->loop, MF_LOG_INFO, "consumer", "stop_task %s: it does not run here",
                   command->task);
        break;
    case MF_COMMAND_DRAIN:
        mf_consumer_drain(me);
        break;
    case MF_COMMAND_UNDRAIN:
        mf_consumer_undrain(me);
        break;
    }
}

void mf__command_run(mf_consumer *me, const char *json, size_t length)
{
    mf_command command;
    mf_error why;

    if (mf_command_parse(&command, json, length, &why) != MF_OK) {
        me->statistics.bad_commands++;
        mf_log(me->loop, MF_LOG_WARN, "consumer", "a command is ignored: %s", why.text);
        return;
    }
    me->statistics.commands++;
    mf_log(me->loop, MF_LOG_INFO, "consumer", "command %.*s", (int)length, json);
    execute(me, &command);
    mf_command_clear(&command);
}
