/* What koalemosctl can do; each returns an exit status and tells errors on stderr. */
#ifndef KOALEMOSCTL_ACTIONS_H
#define KOALEMOSCTL_ACTIONS_H

#include <metafora/metafora.h>

/* Submits one command; `id` NULL: a random one. Prints the id. */
int action_submit(mf_client *client, const char *id, char **arguments);

/* Submits the commands of a file ("-": stdin) in one call, one a line (see words.h), as PREFIX-1,
 * PREFIX-2, ...; `prefix` NULL: random ids. Prints the ids. */
int action_batch(mf_client *client, const char *path, const char *prefix);

int action_remove(mf_client *client, const char *id);
/* A task that was set aside because its daemons kept dying. */
int action_revive(mf_client *client, const char *id);
int action_explain(mf_client *client, const char *id);
int action_list(mf_client *client);
int action_nodes(mf_client *client);

/* `operands`: freeze, unfreeze, balance, drain, undrain, or stop_task and an id; ends with NULL. */
int action_command(mf_client *client, const char *node, char **operands);

#endif
