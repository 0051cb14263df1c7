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
    int64_t first;   /* owner keys that were put before this revision are of an earlier one */
    uint64_t floor;  /* so are claims whose fences are not above this */
} mf_history;

/* What was known when a request was sent. */
typedef struct mf_history_mark {
    uint64_t cluster;
    int64_t revision;
    uint32_t number;
} mf_history_mark;

void mf__history_see(mf_etcd *etcd, const Etcd__ResponseHeader *header);
void mf__history_see_base(mf_etcd *etcd, uint64_t base);

mf_history_mark mf__history_mark(const mf_etcd *etcd);
/* The header is of another history than was known when the request was sent: the watch may have
 * told of later revisions since. It must be of an answer that a majority stands for; a member that
 * is behind the others shows an earlier revision, too. */
bool mf__history_has_ended(const mf_etcd *etcd, mf_history_mark sent,
                           const Etcd__ResponseHeader *header);

/* The fence base with which fences go on rising, where `base` was found. */
uint64_t mf__history_next_base(const mf_etcd *etcd, uint64_t base);
/* The new history has this base. What was known of the old one is forgotten, and all claims of it
 * are lost. */
void mf__history_begin(mf_etcd *etcd, const Etcd__ResponseHeader *header, uint64_t base);

/* Claims and owner keys of an earlier history. */
bool mf__history_lost_claim(const mf_etcd *etcd, uint64_t fence);
bool mf__history_lost_key(const mf_etcd *etcd, const Etcd__KeyValue *owner);

#endif
