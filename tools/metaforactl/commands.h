/* The commands, a file each. */
#ifndef METAFORACTL_COMMANDS_H
#define METAFORACTL_COMMANDS_H

#include "ctl.h"

extern const ctl_command command_tasks, command_task, command_states, command_explain,
    command_nodes, command_node, command_submit, command_remove, command_erase, command_revive,
    command_tell, command_command, command_watch, command_export, command_import, command_doctor,
    command_completion;

#endif
