/* Claims: what their marks and fences say, and what is known of them. */
#ifndef MF_ETCD_CLAIMS_H
#define MF_ETCD_CLAIMS_H

#include "op.h"

/* The fence without the base that it was given with: the revision that created the owner key. Never
 * that of a key which is not there. */
int64_t mf__fence_revision(uint64_t fence, uint64_t base);
int64_t mf__claim_revision(const mf_claim *claim);
/* A release or done was answered, after which the task is there or is gone: a renewal that still
 * names the claim need not look at it. */
void mf__claim_set_ended(mf_claim *claim, bool gone);
/* What such a renewal has to say, MF_ELATE or MF_EGONE; MF_OK: the claim has not been ended. */
int mf__claim_ended(const mf_claim *claim);
/* The claim's owner key is as the claim has it. Three conditions more fit beside it. */
void mf__claim_if_owned(mf_op *op, mf_txn *txn, mf_bytes owner_key, const mf_claim *claim);

#endif
