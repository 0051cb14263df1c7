/* Rules that can be broken on purpose, to see whether the simulation notices. */
#ifndef MF_SIM_MUTATION_H
#define MF_SIM_MUTATION_H

/* Broken on the way between the node and the broker, so that neither has code for it. */
#define SIM_LINK_MUTATIONS(X)                                                                     \
    X(NO_MARGIN, "no-margin", "deadlines have no margin for clocks that differ")                  \
    X(DEADLINE_FROM_ANSWER, "deadline-from-answer",                                               \
      "deadlines count from the answer, not from the request")                                    \
    X(RELEASE_UNFENCED, "release-unfenced", "whoever releases a task, it is released")            \
    X(STATE_UNFENCED, "state-unfenced", "whoever writes a task's state, it is written")           \
    X(LOSS_NOT_TOLD, "loss-not-told", "renewals do not tell which claims are lost")               \
    X(NO_RECONCILE, "no-reconcile", "hints get lost, and listings show nothing")                  \
    X(CLAIM_WITHOUT_TOKEN, "claim-without-token", "a repeated claim takes another's for its own") \
    X(INDEX_NOT_CLEANED, "index-not-cleaned", "done leaves the task in the index")                \
    X(COMMANDS_OUT_OF_ORDER, "commands-out-of-order", "the first and the last command are swapped")

/* Broken in copies of the sources of the core and of the embedded broker, which
 * metafora-sim-mutants is linked with: mutants.cmake has the places. */
#define SIM_CORE_MUTATIONS(X)                                                                      \
    X(REJOIN_RENEWS_NOTHING, "rejoin-renews-nothing", "a rejoin does not renew the leases")        \
    X(JOINED_LATE_PROLONGED, "joined-late-prolonged",                                              \
      "claims that joined a lease during its renewal are prolonged")                               \
    X(FIRST_DEADLINE_NOT_SET, "first-deadline-not-set",                                            \
      "a claim does not bring its lease's deadline forward")                                       \
    X(LOST_KEEPS_DEADLINE, "lost-keeps-deadline", "a lost claim keeps its deadline")               \
    X(LATE_GRANT_TAKEN, "late-grant-taken", "a grant that is nearly over is accepted")             \
    X(OVER_IS_RENEWED, "over-is-renewed", "a claim whose deadline has passed is prolonged")        \
    X(GRACE_DROPPED, "grace-dropped", "handlers hear of the end of their lease at its end")        \
    X(STOPPING_FORGETS_DEADLINE, "stopping-forgets-deadline",                                      \
      "mf_task_stopping does not look at the deadline")                                            \
    X(OVERRUN_NOT_TOLD, "overrun-not-told", "the end of a lease is not told")                      \
    X(TAKEOVER_KEPT, "takeover-kept", "each join takes the name over, not only the first")         \
    X(ONE_RENEWAL_IS_LIFE, "one-renewal-is-life", "a single renewal counts as life")               \
    X(RESYNC_IGNORED, "resync-ignored", "a resync does nothing")                                   \
    X(ENDINGS_WAIT_FOR_EVER, "endings-wait-for-ever", "late endings are never dropped in a drain") \
    X(REFUSED_ONCE_DROPPED, "refused-once-dropped", "an ending that was refused once is dropped")  \
    X(ENDING_NOT_REPEATED, "ending-not-repeated", "an ending without an answer is not repeated")   \
    X(CHECK_NOT_REPEATED, "check-not-repeated",                                                    \
      "a renewal that is wanted during another is forgotten")                                      \
    X(PAGE_NOT_REPEATED, "page-not-repeated", "a listing likewise")                                \
    X(MAIL_NOT_REPEATED, "mail-not-repeated", "a read of messages likewise")                       \
    X(RECEIVE_NOT_REPEATED, "receive-not-repeated", "a read of commands likewise")                 \
    X(ORPHANS_KEPT, "orphans-kept", "what the broker lists as held is not compared")               \
    X(ENDING_FORGOTTEN, "ending-forgotten", "an ending without an answer is forgotten")            \
    X(COMMANDS_READ_AGAIN, "commands-read-again", "commands that were read are read again")        \
    X(DONE_GIVES_BACK, "done-gives-back", "the broker takes done for a release")                   \
    X(FENCE_STAYS, "fence-stays", "the broker grants a task twice with one fence")                 \
    X(LEASE_TOO_SHORT, "lease-too-short", "the broker's leases end a tenth too early")             \
    X(NAME_NOT_REFUSED, "name-not-refused", "each join takes the name, with or without takeover")

typedef enum mutation {
    MUTATION_NONE,
#define SIM_MUTATION(id, name, text) MUTATION_##id,
    SIM_LINK_MUTATIONS(SIM_MUTATION) SIM_CORE_MUTATIONS(SIM_MUTATION) MUTATIONS,
#undef SIM_MUTATION
    MUTATION_FIRST_IN_CORE = MUTATION_REJOIN_RENEWS_NOTHING
} mutation;

/* What the mutated sources ask; the simulation sets it. */
extern mutation mutation_in_force;

/* "no-margin", and what it means. */
const char *mutation_name(mutation m);
const char *mutation_text(mutation m);

#endif
