/* The watch: what happens to tasks, nodes and delays. */
#ifndef MF_ETCD_WATCH_H
#define MF_ETCD_WATCH_H

#include "link.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_etcd_watch mf_etcd_watch;

/* What the watch tells of is found without it as well, this often on average. */
enum { MF_AUDIT_US = 300000000 };

void mf__etcd_watch_start(mf_etcd *etcd);
/* What it would go on from is no more. */
void mf__etcd_watch_begin_anew(mf_etcd *etcd);
/* Until it is started again: nobody watches. */
void mf__etcd_watch_pause(mf_etcd *etcd);
void mf__etcd_watch_close(mf_etcd *etcd);
/* Which watch it is, and up to which revision it has told of tasks; number 0: none is on. A watch
 * that begins anew has another number. */
typedef struct mf_watch_state {
    uint32_t number;
    int64_t revision;
    int64_t changed; /* the last revision of which it has told that may have ended a claim */
} mf_watch_state;
mf_watch_state mf__etcd_watch_state(const mf_etcd *etcd);
/* Hints are coming in. */
bool mf__etcd_watch_is_on(const mf_etcd *etcd);
/* Why they could not be got, borrowed; NULL: it has not failed. */
const mf_error *mf__etcd_watch_why_off(const mf_etcd *etcd);

/* Where renewals go: not behind the calls' answers, if there is another link. */
mf_etcd_link *mf__etcd_renewal_link(mf_etcd *etcd);

#endif
