/* Rules that can be broken on purpose, to see whether the simulation notices.
 *
 * They are broken on the way between the node and the broker, so that neither
 * has code for it. */
#ifndef MF_SIM_MUTATION_H
#define MF_SIM_MUTATION_H

typedef enum mutation {
    MUTATION_NONE,
    MUTATION_NO_MARGIN,
    MUTATION_DEADLINE_FROM_ANSWER,
    MUTATION_RELEASE_UNFENCED,
    MUTATION_STATE_UNFENCED,
    MUTATION_LOSS_NOT_TOLD,
    MUTATION_NO_RECONCILE,
    MUTATION_CLAIM_WITHOUT_TOKEN,
    MUTATION_INDEX_NOT_CLEANED,
    MUTATIONS
} mutation;

/* "no-margin", and what it means. */
const char *mutation_name(mutation m);
const char *mutation_text(mutation m);

#endif
