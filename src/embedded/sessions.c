/* Sessions of the embedded broker: who has which node name, and until when. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded/space.h"

static mf_stored_session *find(mf_space *space, const char *token)
{
    mf_stored_session *session;
    HASH_FIND_STR(space->sessions, token, session);
    return session;
}

static mf_stored_session *find_node(mf_space *space, const char *node)
{
    mf_stored_session *session;
    HASH_FIND(by_node, space->nodes, node, strlen(node), session);
    return session;
}

/* A session that is not live yet. */
static mf_stored_session *add(mf_space *space, const mf_session *wanted)
{
    size_t length = strlen(wanted->node) + 1;
    mf_stored_session *session = calloc(1, sizeof *session + length);
    if (session == NULL)
        return NULL;
    session->state = MF_SESSION_LAPSED;
    memcpy(session->token, wanted->token, sizeof session->token);
    memcpy(session->node, wanted->node, length);
    session->space = space;
    HASH_ADD_STR(space->sessions, token, session);
    if (session->hh.tbl == NULL) {
        free(session);
        return NULL;
    }
    return session;
}

/* What it held goes to others as that of a session that has left, or of one that has died. */
static void end(mf_space *space, mf_stored_session *session, int64_t now_us, bool left)
{
    if (session->state == MF_SESSION_LIVE)
        HASH_DELETE(by_node, space->nodes, session);
    mf__space_touch(session);
    session->state = MF_SESSION_ENDED;
    session->forget_us = now_us + MF_REMEMBER_US;
    while (session->held != NULL && left)
        mf__space_give_back(space, session->held);
    while (session->held != NULL)
        mf__space_bereave(space, session->held, now_us);
}

static int refuse_name(mf_join_request *request, const mf_stored_session *holder, int64_t now_us)
{
    memcpy(request->holder, holder->token, sizeof request->holder);
    request->remaining_ms = (holder->expires_us - now_us + 999) / 1000;
    return mf_error_set(&request->request.error, MF_ENAMEINUSE,
                        "node name \"%s\" is in use by a live consumer for at least %lld ms",
                        request->session->node, (long long)request->remaining_ms);
}

static int make_live(mf_space *space, mf_stored_session *session)
{
    if (session->state == MF_SESSION_LIVE)
        return MF_OK;
    HASH_ADD_KEYPTR(by_node, space->nodes, session->node, strlen(session->node), session);
    if (session->by_node.tbl == NULL)
        return MF_ENOMEM;
    session->state = MF_SESSION_LIVE;
    session->excused = false;
    return MF_OK;
}

static void extend(mf_space *space, mf_stored_session *session, const mf_session *by,
                   int64_t now_us)
{
    session->expires_us = now_us + by->lease_ms * 1000;
    if (session->expires_us < space->due_us)
        space->due_us = session->expires_us;
}

/* A join that comes late: the session went on, or has ended, since it was sent.
 */
static bool overtaken(const mf_stored_session *session, uint64_t epoch)
{
    if (session->state == MF_SESSION_ENDED)
        return epoch <= session->epoch;
    return epoch < session->epoch;
}

int mf__space_join(mf_space *space, mf_join_request *request, int64_t now_us)
{
    const mf_session *wanted = request->session;
    mf_stored_session *session = find(space, wanted->token);
    mf_stored_session *holder = find_node(space, wanted->node);

    if (session != NULL && overtaken(session, wanted->epoch))
        return mf__space_answer(&request->request, MF_ESTALE);
    if (holder != NULL && holder != session) {
        if (!request->takeover)
            return refuse_name(request, holder, now_us);
        end(space, holder, now_us, false);
    }
    if (session == NULL)
        session = add(space, wanted);
    if (session == NULL || make_live(space, session) != MF_OK)
        return mf__space_answer(&request->request, MF_ENOMEM);
    session->epoch = wanted->epoch;
    session->weight = wanted->weight;
    mf__space_touch(session);
    extend(space, session, wanted, now_us);
    mf__space_pardon(space, session);
    return mf__space_answer(&request->request, MF_OK);
}

int mf__space_leave(mf_space *space, mf_session_request *request, int64_t now_us)
{
    mf_stored_session *session = find(space, request->session->token);

    if (session != NULL && session->state != MF_SESSION_ENDED) {
        if (request->session->epoch < session->epoch)
            return mf__space_answer(&request->request, MF_ESTALE);
        end(space, session, now_us, true);
    }
    return mf__space_answer(&request->request, MF_OK);
}

int mf__space_session(mf_space *space, const mf_session *session, mf_stored_session **out)
{
    *out = find(space, session->token);
    if (*out != NULL && session->epoch < (*out)->epoch)
        return MF_ESTALE;
    /* A higher epoch is that of a join which did not arrive: the core has to join
     * again. */
    if (*out == NULL || (*out)->state != MF_SESSION_LIVE || session->epoch != (*out)->epoch)
        return MF_ENOSESSION;
    return MF_OK;
}

static int renew_claim(mf_space *space, mf_stored_session *session, const mf_claim *claim,
                       int64_t now_us)
{
    mf_stored_task *task;
    int code = mf__space_owned(space, session, claim, &task);
    if (code == MF_OK) {
        mf__space_hold(space, session, task, session->expires_us);
        mf__space_survive(space, task, now_us);
    }
    return code;
}

int mf__space_renew(mf_space *space, mf_renew_request *request, int64_t now_us)
{
    mf_stored_session *session;
    int code = mf__space_session(space, request->session, &session);

    request->lost_count = 0;
    if (code != MF_OK)
        return mf__space_answer(&request->request, code);
    extend(space, session, request->session, now_us);
    mf__space_pardon(space, session); /* of claims that lapsed before it */
    for (size_t i = 0; i < request->count; i++) {
        code = renew_claim(space, session, request->lease->claims[i], now_us);
        if (code != MF_OK)
            request->lost[request->lost_count++] = (mf_lost_claim){i, code};
    }
    request->held = session->held_count;
    return mf__space_answer(&request->request, MF_OK);
}

int mf__space_nodes(mf_space *space, mf_nodes_request *request)
{
    size_t count = HASH_CNT(by_node, space->nodes), text = 0, i = 0;
    mf_stored_session *session;

    for (session = space->nodes; session != NULL; session = session->by_node.next)
        text += strlen(session->node) + 1;
    mf_node *nodes = mf__answer_alloc(&request->request, count * sizeof *nodes + text);
    if (nodes == NULL)
        return mf__space_answer(&request->request, MF_ENOMEM);
    char *names = (char *)(nodes + count);
    for (session = space->nodes; session != NULL; session = session->by_node.next) {
        nodes[i++] = (mf_node){names, session->held_count, session->weight};
        names = stpcpy(names, session->node) + 1;
    }
    request->nodes = nodes;
    request->count = count;
    return mf__space_answer(&request->request, MF_OK);
}

/* News of nodes: "<tasks> <bits of the weight> <name>", or "gone <name>". */

void mf__space_touch(mf_stored_session *session)
{
    mf_space *space = session->space;

    /* What is left of a session that is over belongs to no node. */
    if (session->state != MF_SESSION_LIVE || session->is_touched)
        return;
    session->is_touched = true;
    session->next_touched = NULL;
    if (space->touched == NULL)
        space->touched = session;
    else
        space->last_touched->next_touched = session;
    space->last_touched = session;
}

/* A renewal touches the session and changes nothing. */
static bool is_as_announced(const mf_stored_session *session)
{
    return session->state == MF_SESSION_LIVE && session->is_announced &&
           session->announced_tasks == session->held_count &&
           session->announced_weight == session->weight;
}

static void announce_node(mf_space *space, mf_stored_session *session)
{
    char text[300];
    uint64_t weight;

    session->is_announced = session->state == MF_SESSION_LIVE;
    session->announced_tasks = session->held_count;
    session->announced_weight = session->weight;

    memcpy(&weight, &session->weight, sizeof weight);
    if (session->state == MF_SESSION_LIVE)
        snprintf(text, sizeof text, "%" PRIu64 " %" PRIx64 " %s", session->held_count, weight,
                 session->node);
    else
        snprintf(text, sizeof text, "gone %s", session->node);
    mf__space_announce(space, MF_NEWS_NODES, text);
}

void mf__space_announce_nodes(mf_space *space)
{
    while (space->touched != NULL) {
        mf_stored_session *session = space->touched;
        space->touched = session->next_touched;
        session->is_touched = false;
        if (!is_as_announced(session))
            announce_node(space, session);
    }
}

void mf__space_read_node(const char *text, mf_node *node, bool *gone)
{
    char *end;

    *gone = strncmp(text, "gone ", 5) == 0;
    *node = (mf_node){.name = text + 5};
    if (*gone)
        return;
    node->tasks = strtoull(text, &end, 10);
    uint64_t weight = strtoull(end, &end, 16);
    memcpy(&node->weight, &weight, sizeof weight);
    node->name = end + 1;
}
