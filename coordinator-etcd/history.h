/* Whether etcd is still what it was, or has been restored from a backup. */
#ifndef MF_ETCD_HISTORY_H
#define MF_ETCD_HISTORY_H

#include "message.h"

typedef struct mf_etcd mf_etcd;

/* What was seen of the history that etcd is in: no fence of it is above base + revision. */
typedef struct mf_history {
    uint64_t cluster; /* 0: not known yet */
    int64_t revision;
    uint64_t base;
    int64_t before;  /* revisions of earlier histories, as many as were seen */
    uint32_t number; /* one more when another one has begun */
} mf_history;

void mf__history_see(mf_etcd *etcd, const Etcd__ResponseHeader *header);
void mf__history_see_base(mf_etcd *etcd, uint64_t base);

/* The header is of another history: of an answer that a majority stands for, since a member that is
 * behind the others shows an earlier revision, too. */
bool mf__history_has_ended(const mf_etcd *etcd, const Etcd__ResponseHeader *header);

/* The fence base with which fences go on rising, where `base` was found. */
uint64_t mf__history_next_base(const mf_etcd *etcd, uint64_t base);
/* The new history has this base. What was known of the old one is forgotten, and sessions have to
 * end what the new one has of theirs. */
void mf__history_begin(mf_etcd *etcd, const Etcd__ResponseHeader *header, uint64_t base);

#endif
