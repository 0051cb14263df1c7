/* The commands, a file each. */
#ifndef METAFORACTL_COMMANDS_H
#define METAFORACTL_COMMANDS_H

#include "ctl.h"

extern const ctl_command command_tasks, command_task, command_nodes, command_node, command_submit,
    command_remove;

#endif
