/* What is told to nodes and to tasks, from the words of a command line. */
#ifndef TOOLS_ORDERS_H
#define TOOLS_ORDERS_H

#include <metafora/command.h>
#include <metafora/state.h>

/* Both read all `words`, which end with NULL. MF_EINVAL, with a text that begins with `what`. */

/* freeze, unfreeze, balance, drain, undrain, or stop_task and an id; the id stays the caller's. */
int order_command(mf_command *out, const char *what, char *const *words, mf_error *error);
/* run, pause, kill, complete, checkpoint, release, sleep and a time (see when.h), error and a text.
 */
int order_message(mf_message *out, const char *what, char *const *words, mf_error *error);

#endif
