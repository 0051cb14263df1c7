/* The coordinator: one consumer's session with its broker.
 *
 * It joins, renews leases, gathers claims and endings into batches, asks again what got no answer,
 * reads commands, and reconciles what hints may have missed. It decides nothing about tasks: that
 * is the consumer's. It sees the broker only through the driver's operations and time only through
 * the loop.
 *
 * Deadlines. A lease's deadline is sent + lease - margin, where `sent` is when the renewal (for the
 * first one: the claim) left this process, and the margin covers clocks that run at different
 * speeds. stop_grace before it, `lost` with MF_STOP_EXPIRING tells the consumer to stop the tasks;
 * the claims go on being renewed if the broker comes back, and are ended as usual. At the deadline
 * itself `expired` says that the claim has ended, whatever the broker may still answer. */
#ifndef MF_COORDINATOR_H
#define MF_COORDINATOR_H

#include <metafora/driver.h>
#include <metafora/task.h>

typedef struct mf_coordinator mf_coordinator;

/* All on the loop thread, none from inside a function of the coordinator. */
typedef struct mf_coordinator_events {
    void (*joined)(void *arg); /* the first join; claims may be asked for from now on */
    void (*link)(void *arg, bool up, const mf_error *why);
    void (*claimable)(void *arg, const char *const *ids, size_t count);
    /* May be NULL. A reconcile's first page follows: one before it that was interrupted counts for
     * nothing. */
    void (*listing)(void *arg);
    /* The same, from a reconcile; NULL: `claimable` is called. */
    void (*listed)(void *arg, const char *const *ids, size_t count);
    void (*taken)(void *arg, const char *const *ids, size_t count);
    /* A hint that these were removed; ask mf__coordinator_check about those that are held. */
    void (*removed)(void *arg, const char *const *ids, size_t count);
    /* A reconcile has shown every claimable task by `listed` since the last call of this. */
    void (*reconciled)(void *arg);
    /* May be NULL; then reconciles show everything. A page was shown by `listed`, of so many tasks
     * on all of them; the next one is read when mf__coordinator_read_on asks for it, or by the next
     * periodic reconcile. Not called for a broker that does not know how many there are. */
    void (*page_shown)(void *arg, uint64_t claimable);
    /* The answer to mf__coordinator_claim: MF_OK and held from now on, MF_ETAKEN, MF_EGONE,
     * MF_EDAMAGED, or another error; but for MF_OK the claim is the consumer's again. */
    void (*granted)(void *arg, mf_claim *claim, int code);
    /* The answer to mf__coordinator_end; the claim is the consumer's again. MF_OK, MF_ELATE,
     * MF_EGONE, or MF_EUNREACHABLE when the coordinator closed before it was answered. */
    void (*ended)(void *arg, mf_claim *claim, int code);
    /* A held claim must be stopped: MF_STOP_EXPIRING, MF_STOP_LOST, MF_STOP_DELETED. */
    void (*lost)(void *arg, mf_claim *claim, mf_stop_reason reason);
    /* A held claim's lease has ended at `deadline_us` and the claim was not ended before. It still
     * has to be ended by mf__coordinator_end. */
    void (*expired)(void *arg, mf_claim *claim, int64_t deadline_us);
    void (*command)(void *arg, const char *json, size_t length);
    /* A message for a task that this node holds or held; may come again. Only with options.mail. */
    void (*mail)(void *arg, const char *id, uint64_t number, const char *json, size_t length);
    void (*view)(void *arg, const mf_node *nodes, size_t count); /* the live nodes, borrowed */
    /* May be NULL. What has become of one of them since, or it is `gone`. */
    void (*node)(void *arg, const mf_node *node, bool gone);
    /* The coordinator cannot go on: the name is in use, the broker refuses. Claims can still be
     * ended, as far as the broker lets them. */
    void (*failed)(void *arg, const mf_error *why);
    void (*closed)(void *arg);
    /* May be NULL. A request came back with MF_EUNCONFIRMED; it is asked again. */
    void (*unconfirmed)(void *arg);
    /* May be NULL. Whether the task is one that was asked for, is held or has not been ended, or
     * that is to stay this node's for another reason. */
    bool (*holds)(void *arg, const char *id);
} mf_coordinator_events;

typedef struct mf_coordinator_options {
    const char *node;
    int64_t lease_ms, stop_grace_ms, reconcile_interval_ms;
    double weight;
    bool takeover;
    bool wait_for_broker;
    bool mail; /* messages to tasks are wanted; the driver must have the slots for states */
} mf_coordinator_options;

/* Makes the coordinator and begins to join. `broker` and `events` are borrowed until `closed`. */
int mf__coordinator_open(mf_coordinator **out, mf_broker *broker,
                         const mf_coordinator_options *options, const mf_coordinator_events *events,
                         void *arg, mf_error *error);

/* Asks for a task: fill in claim->id. Sent with others when the current callback has returned. */
void mf__coordinator_claim(mf_coordinator *coordinator, mf_claim *claim);

/* No more claims: those that have not been sent are answered with MF_ECLOSED. */
void mf__coordinator_stop_claiming(mf_coordinator *coordinator);

/* Ends a held claim. It is renewed until the broker has answered. */
void mf__coordinator_end(mf_coordinator *coordinator, mf_claim *claim, mf_outcome outcome);

/* Asks the broker at once whether a held claim still holds, rather than at the next renewal. */
void mf__coordinator_check(mf_coordinator *coordinator, mf_claim *claim);

/* A read or write of a task's state, sent with others when the current callback has returned, and
 * again until the broker answers. */
typedef struct mf__state_request mf__state_request;
typedef void (*mf__state_fn)(void *arg, int code, const char *json, size_t length);

/* Reads a task's state: MF_OK with the document, NULL when there is none, or an error. NULL: memory
 * is out, and `done` is not called. */
mf__state_request *mf__coordinator_load(mf_coordinator *coordinator, const char *id,
                                        mf__state_fn done, void *arg);

/* Writes the state of a held claim: MF_OK, MF_ELATE, MF_EGONE or another error. `json`, from
 * malloc, is taken in any case; NULL: the state stays as it is. `acknowledged` is the number of a
 * message that has been dealt with, or 0. */
mf__state_request *mf__coordinator_store(mf_coordinator *coordinator, const mf_claim *claim,
                                         char *json, uint64_t acknowledged, mf__state_fn done,
                                         void *arg);

/* The answer is of no interest any more: `done` will not be called. What was sent may take effect.
 */
void mf__coordinator_drop(mf_coordinator *coordinator, mf__state_request *request);

/* Shows claimable tasks again, from the first page on, soon. */
void mf__coordinator_reconcile(mf_coordinator *coordinator);
/* Shows the next page, if there is one. */
void mf__coordinator_read_on(mf_coordinator *coordinator);
/* Lets the broker and the other nodes know that the node's weight is another one. */
void mf__coordinator_set_weight(mf_coordinator *coordinator, double weight);
/* Asks for a view of the nodes now; `view` follows. Views come by themselves as well. */
void mf__coordinator_refresh_view(mf_coordinator *coordinator);
/* In `view`: the steady time at which it was asked for. What `node` has told since is newer. */
int64_t mf__coordinator_view_asked_us(const mf_coordinator *coordinator);

/* Steady time until which the claim is certain to hold. Any thread while the claim is held. */
int64_t mf__claim_deadline_us(const mf_claim *claim);

/* Leaves and closes. All claims must have been ended, or are given up: what was not answered is
 * called back with MF_EUNREACHABLE. `closed` follows; free it then. */
void mf__coordinator_close(mf_coordinator *coordinator);
void mf__coordinator_free(mf_coordinator *coordinator);

#endif
