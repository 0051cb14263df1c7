/* What a handle knows of the sessions that use it, and the guard of their requests.
 *
 * A session's node key holds its token and epoch. Every transaction of the session compares the
 * whole value, so that a copy which comes late, when the session has joined again, has ended or has
 * lapsed, changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "handle.h"
#include "leases.h"
#include "looks.h"
#include "op.h"
#include "recent.h"
#include "session.h"

static void free_session(mf_etcd_session *session)
{
    mf__key_leases_clear(&session->claims);
    mf__recent_clear(session);
    mf__look_forget(session->look);
    free(session->node_key);
    free(session->owner_json);
    free(session->node_json);
    free(session);
}

static mf_etcd_session *new_session(mf_etcd *etcd, const mf_session *wanted)
{
    mf_etcd_session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return NULL;
    memcpy(session->token, wanted->token, sizeof session->token);
    mf__key_leases_init(&session->claims, etcd, mf__lease_seconds(wanted->lease_ms),
                        wanted->lease_ms * 1000 / 2);
    session->owner_json = mf__etcd_document_of_owner(wanted);
    if (session->owner_json == NULL ||
        asprintf(&session->node_key, "%snodes/%s/_metafora", etcd->prefix, wanted->node) < 0) {
        session->node_key = NULL;
        free_session(session);
        return NULL;
    }
    session->next = etcd->sessions;
    etcd->sessions = session;
    return session;
}

static bool renew_document(mf_etcd_session *session, const mf_session *wanted)
{
    if (session->node_json != NULL && session->epoch == wanted->epoch &&
        session->weight == wanted->weight)
        return true;
    char *json = mf__etcd_document_of_node(wanted);
    if (json == NULL)
        return false;
    free(session->node_json);
    session->node_json = json;
    session->epoch = wanted->epoch;
    session->weight = wanted->weight;
    return true;
}

mf_etcd_session *mf__session_of(mf_etcd *etcd, const mf_session *wanted)
{
    mf_etcd_session *session = etcd->sessions;

    while (session != NULL && strcmp(session->token, wanted->token) != 0)
        session = session->next;
    if (session == NULL)
        session = new_session(etcd, wanted);
    return session != NULL && renew_document(session, wanted) ? session : NULL;
}

void mf__session_release(mf_etcd *etcd, mf_etcd_session *session)
{
    mf_etcd_session **at = &etcd->sessions;

    session->users--;
    if (!session->over || session->users > 0 || session->claims.granting ||
        session->claims.refreshing > 0)
        return;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    free_session(session);
}

void mf__sessions_clear(mf_etcd *etcd)
{
    while (etcd->sessions != NULL) {
        mf_etcd_session *next = etcd->sessions->next;
        free_session(etcd->sessions);
        etcd->sessions = next;
    }
}

/* The guard. */

void mf__guard(mf_op *op, mf_txn *txn)
{
    mf_bytes key = mf__bytes_of(op->session->node_key);

    mf__txn_if_value(txn, key, op->guard);
    mf__txn_else(txn, mf__op_get(txn->arena, key));
}

bool mf__guard_holds(const mf_op *op, const Etcd__KeyValue *node)
{
    return node != NULL && mf__bytes_equal(node->value, op->guard);
}

void mf__guard_refused(mf_op *op, const Etcd__KeyValue *node)
{
    mf_etcd_document found;

    if (node != NULL && mf__etcd_document_read(&found, node->value, &op->arena) == MF_OK &&
        strcmp(found.token, op->session->token) == 0 && found.epoch > op->epoch)
        mf__op_fail(op, MF_ESTALE, "%s", mf_strerror(MF_ESTALE));
    else
        mf__op_fail(op, MF_ENOSESSION, "%s", mf_strerror(MF_ENOSESSION));
}
