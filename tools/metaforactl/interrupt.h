/* Ctrl-C, for commands that end between two steps of their work. */
#ifndef METAFORACTL_INTERRUPT_H
#define METAFORACTL_INTERRUPT_H

#include <stdbool.h>

/* From now on the first SIGINT or SIGTERM is only noted; a second one ends the process. */
void interrupt_catch(void);
bool interrupt_came(void);

#endif
