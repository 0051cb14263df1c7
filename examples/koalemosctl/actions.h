/* What koalemosctl can do; each returns an exit status and tells errors on stderr. */
#ifndef KOALEMOSCTL_ACTIONS_H
#define KOALEMOSCTL_ACTIONS_H

#include <metafora/metafora.h>

typedef struct action_order {
    mf_client *client;
    const char *subject;   /* the argument of the option that says what to do */
    char **operands;       /* ends with NULL */
    const char *id;        /* of --id; NULL: random */
    int64_t not_before_us; /* of --at; 0: at once */
} action_order;

/* Submits the operands as a command. Prints the id. */
int action_submit(const action_order *order);
/* Submits the commands of the file ("-": stdin) in one call, one a line (see words.h), as ID-1,
 * ID-2 and so on. Prints the ids. */
int action_batch(const action_order *order);

/* Looking. */
int action_list(const action_order *order);
int action_nodes(const action_order *order);
int action_explain(const action_order *order);
/* The state of one task; the states of all, or of those that are in the state `subject`. */
int action_state(const action_order *order);
int action_states(const action_order *order);

/* Changing. */
int action_remove(const action_order *order);
int action_erase(const action_order *order);
/* The operands are the command of a task that is gone; without any it must still be there. */
int action_revive(const action_order *order);
/* To a node: freeze, unfreeze, balance, drain, undrain, or stop_task and an id. */
int action_command(const action_order *order);
/* To a task: run, pause, kill, complete, checkpoint, release, sleep and a time, error and a text.
 */
int action_tell(const action_order *order);

/* For the actions: tells the error and returns 1; tells what became of one item, into the int at
 * `arg`; and waits for the answer to a call that returned `code`. */
int action_complain(const mf_error *error);
void action_on_items(const mf_error *error, const mf_item_result *items, size_t count, void *arg);
int action_finish(const action_order *order, int code, const mf_error *error, const int *status);

#endif
