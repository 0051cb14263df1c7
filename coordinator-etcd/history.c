/* Restores from a backup, which take etcd back to an earlier revision.
 *
 * What was done since the backup is undone: claims are not there any more, others are that were
 * given up long ago, and revisions are given a second time. A node that lives through it finds out
 * when it joins again, which the loss of the connection makes it do: a revision below one that was
 * seen before it asked, or another cluster. Then
 * - the fence base is raised above every fence that can have been seen, and more, for those of
 * which nobody who is left was told;
 * - the watch begins anew, since behind the last revision that it told of it would be silent until
 *   that has been passed again, and with it the mirror and what is known of claims;
 * - all claims of sessions are lost, which renewals say, and none of their leases is renewed any
 *   more. They are left to lapse and not revoked: some have owner keys of tasks whose handlers
 * still run, others such that no claim corresponds to. A restored etcd that has passed the last
 * revision seen, with the id of the old one, is taken for the old one. */
#include "history.h"
#include "handle.h"
#include "leases.h"
#include "mail.h"
#include "session.h"
#include "watch.h"

enum { UNSEEN = 1 << 20 };

void mf__history_see(mf_etcd *etcd, const Etcd__ResponseHeader *header)
{
    if (header == NULL)
        return;
    if (header->revision > etcd->history.revision)
        etcd->history.revision = header->revision;
    if (etcd->history.cluster == 0)
        etcd->history.cluster = header->cluster_id;
}

void mf__history_see_base(mf_etcd *etcd, uint64_t base)
{
    if (base > etcd->history.base)
        etcd->history.base = base;
}

mf_history_mark mf__history_mark(const mf_etcd *etcd)
{
    const mf_history *history = &etcd->history;

    return (mf_history_mark){history->cluster, history->revision, history->number};
}

bool mf__history_has_ended(const mf_etcd *etcd, mf_history_mark sent,
                           const Etcd__ResponseHeader *header)
{
    if (header == NULL || sent.number != etcd->history.number) /* that it had is known already */
        return false;
    return header->revision < sent.revision ||
           (sent.cluster != 0 && header->cluster_id != sent.cluster);
}

bool mf__history_lost_claim(const mf_etcd *etcd, uint64_t fence)
{
    return fence <= etcd->history.floor;
}

bool mf__history_lost_key(const mf_etcd *etcd, const Etcd__KeyValue *owner)
{
    return owner->create_revision < etcd->history.first;
}

uint64_t mf__history_next_base(const mf_etcd *etcd, uint64_t base)
{
    uint64_t highest = etcd->history.base + (uint64_t)etcd->history.revision;

    return base >= highest ? base : highest + UNSEEN; /* another node has raised it already */
}

void mf__history_begin(mf_etcd *etcd, const Etcd__ResponseHeader *header, uint64_t base)
{
    mf_history *history = &etcd->history;

    mf_log(
        etcd->broker.loop, MF_LOG_WARN, "etcd",
        "restored from a backup: at revision %lld, after %lld was seen; claims are given up, and "
        "fences go on above %llu",
        (long long)header->revision, (long long)history->revision, (unsigned long long)base);
    *history = (mf_history){.cluster = header->cluster_id,
                            .revision = header->revision,
                            .base = base,
                            .before = history->before + history->revision,
                            .number = history->number + 1,
                            .first = header->revision,
                            .floor = base};
    etcd->fence_base = base;
    for (mf_etcd_session *session = etcd->sessions; session != NULL; session = session->next)
        mf__key_leases_forget_all(&session->claims);
    mf__key_leases_forget_all(&etcd->marks);
    mf__key_leases_forget_all(&etcd->commands);
    mf__mailbox_forget(etcd);
    mf__etcd_watch_begin_anew(etcd);
}
