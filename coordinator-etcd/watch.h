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
/* Up to which revision it has told of tasks; 0: none is on. */
int64_t mf__etcd_watch_revision(const mf_etcd *etcd);
/* Hints are coming in. */
bool mf__etcd_watch_is_on(const mf_etcd *etcd);
/* Why they could not be got, borrowed; NULL: it has not failed. */
const mf_error *mf__etcd_watch_why_off(const mf_etcd *etcd);

/* Where renewals go: not behind the calls' answers, if there is another link. */
mf_etcd_link *mf__etcd_renewal_link(mf_etcd *etcd);

#endif
