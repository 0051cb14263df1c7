/* A broker that only records requests. */
#include "scripted_broker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct script_call {
    script *script;
    script_kind kind;
    mf_request *request;
    int64_t sent_us;
    mf_timer timer;
    script_call *next, *previous;
};

static void give_results(const script_call *call, int result)
{
    mf_claims_request *claims = (mf_claims_request *)call->request;
    mf_store_request *store = (mf_store_request *)call->request;

    if (call->kind == CLAIM || call->kind == RELEASE || call->kind == DONE)
        for (size_t i = 0; i < claims->count; i++)
            claims->claims[i]->result = result;
    if (call->kind == CLAIM)
        for (size_t i = 0; i < claims->count && result == MF_OK; i++)
            claims->claims[i]->fence = 7;
    if (call->kind == STORE)
        for (size_t i = 0; i < store->count; i++)
            store->writes[i].result = result;
}

static void give_documents(mf_load_request *load)
{
    static const mf_document none[1024];

    load->documents = none;
}

static void answer(script_call *call, int code)
{
    script *me = call->script;
    mf_request *request = call->request;

    *(call->previous != NULL ? &call->previous->next : &me->open) = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    mf_timer_stop(me->broker.loop, &call->timer);
    me->under_way[call->kind]--;
    if (code == MF_OK)
        give_results(call, me->rules[call->kind].result);
    if (call->kind == LOAD)
        give_documents((mf_load_request *)request);
    request->error.code = MF_OK;
    if (code != MF_OK)
        mf_error_set(&request->error, code, "as the script says");
    request->sent_us = call->sent_us;
    free(call);
    request->done(request);
}

static void on_timer(void *arg)
{
    script_call *call = arg;
    answer(call, call->script->rules[call->kind].code);
}

static void take(mf_broker *broker, script_kind kind, mf_request *request)
{
    script *me = (script *)broker;
    script_call *call = calloc(1, sizeof *call), *last = me->open;

    while (last != NULL && last->next != NULL)
        last = last->next;
    *call = (script_call){.script = me,
                          .kind = kind,
                          .request = request,
                          .sent_us = mf_loop_now_us(broker->loop),
                          .previous = last};
    *(last != NULL ? &last->next : &me->open) = call;
    me->counts[kind]++;
    me->under_way[kind]++;
    mf_timer_init(&call->timer, on_timer, call);
    if (!me->rules[kind].held)
        mf_timer_start(broker->loop, &call->timer, call->sent_us + me->rules[kind].delay_us);
}

static void join(mf_broker *broker, mf_join_request *request)
{
    ((script *)broker)->epoch = request->session->epoch;
    ((script *)broker)->weight = request->session->weight;
    take(broker, JOIN, &request->request);
}

static void renew(mf_broker *broker, mf_renew_request *request)
{
    take(broker, request->lease != NULL ? RENEW : RENEW_SESSION, &request->request);
}

#define SLOT(name, type, kind)                         \
    static void name(mf_broker *broker, type *request) \
    {                                                  \
        take(broker, kind, &request->request);         \
    }

SLOT(leave, mf_session_request, LEAVE)
SLOT(claim, mf_claims_request, CLAIM)
SLOT(release, mf_claims_request, RELEASE)
SLOT(done, mf_claims_request, DONE)
SLOT(claimable, mf_page_request, CLAIMABLE)
SLOT(receive, mf_receive_request, RECEIVE)
SLOT(nodes, mf_nodes_request, NODES)
SLOT(load, mf_load_request, LOAD)
SLOT(store, mf_store_request, STORE)
SLOT(mail, mf_mail_request, MAIL)

static void watch(mf_broker *broker, mf_watcher *watcher)
{
    ((script *)broker)->watcher = watcher;
}

static void unwatch(mf_broker *broker, mf_watcher *watcher)
{
    assert(((script *)broker)->watcher == watcher);
    ((script *)broker)->watcher = NULL;
}

static const mf_broker_operations operations = {
    .version = MF_DRIVER_VERSION,
    .watch = watch,
    .unwatch = unwatch,
    .join = join,
    .leave = leave,
    .renew = renew,
    .claim = claim,
    .release = release,
    .done = done,
    .claimable = claimable,
    .receive = receive,
    .nodes = nodes,
    .load = load,
    .store = store,
    .mail = mail,
};

script *script_new(mf_loop *loop)
{
    script *me = calloc(1, sizeof *me);

    me->broker =
        (mf_broker){.operations = &operations, .loop = loop, .max_batch = 128, .max_lease = 1000};
    return me;
}

void script_free(script *me)
{
    assert(me->open == NULL);
    free(me);
}

void script_link(script *me, bool up)
{
    mf_error why = {.code = MF_EUNREACHABLE, .text = "the link is down"};

    me->watcher->link(me->watcher, up, up ? NULL : &why);
    if (up)
        me->watcher->resync(me->watcher);
}

static script_call *first(const script *me, script_kind kind)
{
    script_call *call = me->open;

    while (call != NULL && call->kind != kind)
        call = call->next;
    return call;
}

mf_request *script_first(const script *me, script_kind kind)
{
    script_call *call = first(me, kind);
    return call != NULL ? call->request : NULL;
}

void script_answer(script *me, script_kind kind, int code)
{
    script_call *call = first(me, kind);

    assert(call != NULL);
    answer(call, code);
}
