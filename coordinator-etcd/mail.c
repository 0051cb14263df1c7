/* Messages to tasks. The last one of each is under the task's key "commands", where the Go library
 * has it too; its number is the revision that put it.
 *
 * etcd has no index of what a session holds. The watch, which sees the keys of all tasks, tells
 * which of them have a message, and so do listings of them and each claim. They are noted here, in
 * an order of places, and `mail` looks which of those behind the given place are its session's. So
 * a node has one stream, however many tasks it has. */
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "handle.h"
#include "keys.h"
#include "mail.h"
#include "op.h"
#include "session.h"
#include "slots.h"

typedef struct mf_unread {
    uint64_t place;
    int64_t revision; /* of the message that is known of */
    UT_hash_handle hh;
    char id[];
} mf_unread;

/* The notes. */

static void drop(mf_mailbox *box, mf_unread *unread)
{
    HASH_DEL(box->list, unread);
    free(unread);
}

static mf_unread *find(const mf_mailbox *box, const char *id, size_t length)
{
    mf_unread *unread;

    HASH_FIND(hh, box->list, id, length, unread);
    return unread;
}

/* At the last place. Without memory it is found at the task's next claim. */
static void add(mf_mailbox *box, const char *id, size_t length, int64_t revision)
{
    mf_unread *unread = malloc(sizeof *unread + length + 1);

    if (unread == NULL)
        return;
    unread->place = ++box->place;
    unread->revision = revision;
    memcpy(unread->id, id, length);
    unread->id[length] = '\0';
    HASH_ADD_KEYPTR(hh, box->list, unread->id, length, unread);
}

/* False: it is known. */
static bool note(mf_mailbox *box, const char *id, size_t length, int64_t revision)
{
    mf_unread *known = find(box, id, length);

    if (known != NULL && known->revision >= revision)
        return false;
    if (known != NULL)
        drop(box, known);
    add(box, id, length, revision);
    return true;
}

/* The first one behind the place: from the end, for new ones are few. */
static mf_unread *first_behind(const mf_mailbox *box, uint64_t place)
{
    mf_unread *first = NULL;
    mf_unread *at =
        box->list != NULL ? ELMT_FROM_HH(box->list->hh.tbl, box->list->hh.tbl->tail) : NULL;

    for (; at != NULL && at->place > place; at = at->hh.prev)
        first = at;
    return first;
}

/* Hints. */

static void on_hint(void *arg)
{
    mf_etcd *etcd = arg;
    mf_walk walk;

    for (mf_etcd_session *session = etcd->sessions; session != NULL; session = session->next) {
        bool waits = session->mail_waits;
        session->mail_waits = false;
        for (mf_watcher *w = waits ? mf__walk_begin(&walk, &etcd->watchers) : NULL; w != NULL;
             w = mf__walk_next(&walk))
            if (w->mail != NULL && w->token != NULL && strcmp(w->token, session->token) == 0)
                w->mail(w);
    }
}

/* Soon, when what has told of the message has been told itself. */
static void hint(mf_etcd *etcd, mf_etcd_session *session)
{
    session->mail_waits = true;
    mf_defer(etcd->broker.loop, &etcd->mailbox.hint);
}

void mf__mailbox_init(mf_etcd *etcd)
{
    mf_deferred_init(&etcd->mailbox.hint, on_hint, etcd);
}

void mf__mailbox_forget(mf_etcd *etcd)
{
    while (etcd->mailbox.list != NULL)
        drop(&etcd->mailbox, etcd->mailbox.list);
}

void mf__mailbox_clear(mf_etcd *etcd)
{
    mf_deferred_cancel(etcd->broker.loop, &etcd->mailbox.hint);
    mf__mailbox_forget(etcd);
}

/* What is told by others. */

void mf__mail_put(mf_etcd *etcd, mf_bytes id, int64_t revision)
{
    int64_t lease = mf__mirror_owner(&etcd->mirror.content, id);

    if (!note(&etcd->mailbox, (const char *)id.data, id.len, revision))
        return;
    for (mf_etcd_session *session = etcd->sessions; session != NULL; session = session->next)
        if (mf__key_leases_find(&session->claims, lease) != NULL)
            hint(etcd, session);
}

void mf__mailbox_listed(mf_etcd *etcd)
{
    for (mf_etcd_session *session = etcd->sessions; session != NULL; session = session->next)
        if (etcd->mailbox.list != NULL)
            hint(etcd, session);
}

void mf__mail_deleted(mf_etcd *etcd, mf_bytes id, int64_t revision)
{
    mf_unread *known = find(&etcd->mailbox, (const char *)id.data, id.len);

    if (known != NULL && known->revision < revision)
        drop(&etcd->mailbox, known);
}

void mf__mail_claimed(mf_etcd *etcd, mf_etcd_session *session, const char *id, int64_t revision)
{
    mf_mailbox *box = &etcd->mailbox;
    size_t length = strlen(id);
    mf_unread *known = find(box, id, length);

    if (known == NULL && revision == 0)
        return;
    if (known != NULL && known->revision > revision)
        revision = known->revision;
    if (known != NULL)
        drop(box, known);
    add(box, id, length, revision);
    hint(etcd, session);
}

/* mail */

typedef struct looked_up {
    const char *id;
    uint64_t place;
} looked_up;

typedef struct mail_op {
    mf_op op; /* first */
    mf_mail_request *request;
    looked_up *list;
    size_t count;
} mail_op;

static bool is_ours(const mf_op *op, const Etcd__KeyValue *owner)
{
    return owner != NULL && owner->lease != 0 &&
           mf__bytes_are(owner->value, op->session->owner_json);
}

static void read_message(mail_op *mail, const looked_up *one, const Etcd__KeyValue *message,
                         mf_mail *out)
{
    mf_mailbox *box = &mail->op.etcd->mailbox;
    mf_unread *unread = find(box, one->id, strlen(one->id));

    if (message == NULL && unread != NULL && unread->place == one->place)
        drop(box, unread);
    if (message == NULL || out == NULL)
        return;
    *out = (mf_mail){.id = one->id,
                     .number = (uint64_t)message->mod_revision,
                     .json = mf__bytes_terminated(&mail->op.arena, message->value),
                     .length = message->value.len};
    mail->request->count++;
}

static void on_looked(mf_op *op)
{
    mail_op *mail = (mail_op *)op;
    mf_mail_request *request = mail->request;
    const Etcd__TxnResponse *answer = mf__op_txn_answer(op);
    mf_mail *out = MF_ARENA_NEW(&op->arena, mf_mail, mail->count);

    if (!answer->succeeded) {
        mf__guard_refused(op, mf__answer_get(answer, 0));
        return;
    }
    for (size_t i = 0; i < mail->count; i++) {
        bool ours = is_ours(op, mf__answer_get(answer, 2 * i));
        read_message(mail, &mail->list[i], mf__answer_get(answer, 2 * i + 1),
                     ours ? &out[request->count] : NULL);
        request->after = mail->list[i].place;
    }
    request->mail = out;
    request->more = first_behind(&op->etcd->mailbox, request->after) != NULL;
    mf__op_end(op);
}

static void look(mf_op *op)
{
    mail_op *mail = (mail_op *)op;
    size_t most = op->etcd->transaction_limit / 2;
    mf_unread *unread = first_behind(&op->etcd->mailbox, mail->request->after);

    most = mail->request->limit < most ? mail->request->limit : most;
    mail->list = MF_ARENA_NEW(&op->arena, looked_up, most);
    mf_txn *txn = mf__txn_new(&op->arena, 1, 2 * most, 1);
    mf__guard(op, txn);
    for (; unread != NULL && mail->count < most; unread = unread->hh.next) {
        mf_bytes id = mf__bytes_of(unread->id);
        const char *copy = mf__bytes_terminated(&op->arena, id);
        mf_task_keys keys = mf__task_keys(op->etcd, &op->arena, copy);
        mail->list[mail->count++] = (looked_up){copy, unread->place};
        mf__txn_then(txn, mf__op_get(&op->arena, keys.owner));
        mf__txn_then(txn, mf__op_get(&op->arena, keys.message));
    }
    mf__op_transact(op, txn, on_looked);
}

void mf__etcd_mail(mf_broker *broker, mf_mail_request *request)
{
    mail_op *mail = mf__op_new_of(broker, &request->request, sizeof *mail, request->session);

    if (mail == NULL)
        return;
    mail->request = request;
    request->count = 0;
    request->more = false;
    mf__op_begin(&mail->op, look);
}
