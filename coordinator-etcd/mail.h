/* Messages to tasks. */
#ifndef MF_ETCD_MAIL_H
#define MF_ETCD_MAIL_H

#include <metafora/loop.h>

#include "message.h"

typedef struct mf_etcd mf_etcd;
typedef struct mf_etcd_session mf_etcd_session;

/* Which tasks have a message, so far as the handle knows. */
typedef struct mf_mailbox {
    struct mf_unread *list; /* by id, in the order of their places */
    uint64_t place;         /* the last one given */
    mf_deferred hint;
} mf_mailbox;

void mf__mailbox_init(mf_etcd *etcd);
void mf__mailbox_clear(mf_etcd *etcd);
/* It is wrong by now. */
void mf__mailbox_forget(mf_etcd *etcd);
/* All tasks and their owners are known now. */
void mf__mailbox_listed(mf_etcd *etcd);
/* The watch, or a listing, has seen that the message of task `id` was put, or deleted, by a
 * revision. */
void mf__mail_put(mf_etcd *etcd, mf_bytes id, int64_t revision);
void mf__mail_deleted(mf_etcd *etcd, mf_bytes id, int64_t revision);
/* The session has claimed a task, with the revision of the message that was there; 0: none was. */
void mf__mail_claimed(mf_etcd *etcd, mf_etcd_session *session, const char *id, int64_t revision);

#endif
