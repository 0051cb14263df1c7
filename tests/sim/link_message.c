/* A request's copy on its way to the broker, and the answer's on its way back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link_internal.h"

size_t link_items(verb what, const mf_request *request)
{
    switch (what) {
    case VERB_CLAIM:
    case VERB_RELEASE:
    case VERB_DONE:
        return ((const mf_claims_request *)request)->count;
    case VERB_SUBMIT:
    case VERB_REMOVE:
        return ((const mf_items_request *)request)->count;
    default:
        return 0;
    }
}

/* On the way in. */

static void copy_claims(message *m, mf_claim *const *claims, size_t count)
{
    m->claim_copies = calloc(count + 1, sizeof *m->claim_copies);
    m->claim_pointers = calloc(count + 1, sizeof *m->claim_pointers);
    for (size_t i = 0; i < count; i++) {
        m->claim_copies[i] = (mf_claim){
            .id = strdup(claims[i]->id),
            .fence = claims[i]->fence,
            .repeated = claims[i]->repeated,
        };
        m->claim_pointers[i] = &m->claim_copies[i];
    }
}

void link_copy_session(message *m, mf_session **session)
{
    m->session = **session;
    snprintf(m->node, sizeof m->node, "%s", m->session.node);
    m->session.node = m->node;
    *session = &m->session;
}

static void copy_renew(message *m)
{
    mf_renew_request *renew = &m->copy.renew;

    *renew = *(mf_renew_request *)m->original;
    link_copy_session(m, &renew->session);
    if (renew->lease == NULL)
        return;
    copy_claims(m, renew->lease->claims, renew->count);
    m->lease = (mf_lease){.claims = m->claim_pointers, .count = renew->count};
    m->lost = calloc(renew->count + 1, sizeof *m->lost);
    renew->lease = &m->lease;
    renew->lost = m->lost;
}

static void copy_items(message *m)
{
    mf_items_request *items = &m->copy.items;

    *items = *(mf_items_request *)m->original;
    strcpy(m->token, items->token);
    items->token = m->token;
    m->item_copies = calloc(items->count, sizeof *m->item_copies);
    for (size_t i = 0; i < items->count; i++) {
        const mf_item *item = &items->items[i];
        m->item_copies[i].id = strdup(item->id);
        m->item_copies[i].properties = item->properties != NULL ? strdup(item->properties) : NULL;
    }
    items->items = m->item_copies;
}

static void copy_send(message *m)
{
    mf_send_request *send = &m->copy.send;
    size_t node = strlen(((mf_send_request *)m->original)->node) + 1;

    *send = *(mf_send_request *)m->original;
    m->text = malloc(node + send->length);
    memcpy(m->text, send->node, node);
    memcpy(m->text + node, send->json, send->length);
    send->node = m->text;
    send->json = m->text + node;
}

void message_copy_in(message *m)
{
    switch (m->what) {
    case VERB_JOIN:
        m->copy.join = *(mf_join_request *)m->original;
        link_copy_session(m, &m->copy.join.session);
        break;
    case VERB_LEAVE:
        m->copy.leave = *(mf_session_request *)m->original;
        link_copy_session(m, &m->copy.leave.session);
        break;
    case VERB_RENEW:
        copy_renew(m);
        break;
    case VERB_CLAIM:
    case VERB_RELEASE:
    case VERB_DONE:
        m->copy.claims = *(mf_claims_request *)m->original;
        link_copy_session(m, &m->copy.claims.session);
        copy_claims(m, m->copy.claims.claims, m->copy.claims.count);
        m->copy.claims.claims = m->claim_pointers;
        break;
    case VERB_CLAIMABLE:
        m->copy.page = *(mf_page_request *)m->original;
        break;
    case VERB_HELD:
        m->copy.held = *(mf_held_request *)m->original;
        link_copy_session(m, &m->copy.held.session);
        break;
    case VERB_RECEIVE:
        m->copy.receive = *(mf_receive_request *)m->original;
        link_copy_session(m, &m->copy.receive.session);
        break;
    case VERB_NODES:
        m->copy.nodes = *(mf_nodes_request *)m->original;
        break;
    case VERB_SUBMIT:
    case VERB_REMOVE:
    case VERB_TELL:
    case VERB_FORGET:
        copy_items(m);
        break;
    case VERB_SEND:
        copy_send(m);
        break;
    case VERB_LOAD:
    case VERB_STORE:
    case VERB_MAIL:
        link_states_copy_in(m);
        break;
    }
}

void message_deliver(message *m, mf_broker *to)
{
    const mf_broker_operations *o = to->operations;

    switch (m->what) {
    case VERB_JOIN:
        o->join(to, &m->copy.join);
        break;
    case VERB_LEAVE:
        o->leave(to, &m->copy.leave);
        break;
    case VERB_RENEW:
        o->renew(to, &m->copy.renew);
        break;
    case VERB_CLAIM:
        o->claim(to, &m->copy.claims);
        break;
    case VERB_RELEASE:
        o->release(to, &m->copy.claims);
        break;
    case VERB_DONE:
        o->done(to, &m->copy.claims);
        break;
    case VERB_CLAIMABLE:
        o->claimable(to, &m->copy.page);
        break;
    case VERB_HELD:
        o->held(to, &m->copy.held);
        break;
    case VERB_RECEIVE:
        o->receive(to, &m->copy.receive);
        break;
    case VERB_NODES:
        o->nodes(to, &m->copy.nodes);
        break;
    case VERB_SUBMIT:
        o->submit(to, &m->copy.items);
        break;
    case VERB_REMOVE:
        o->remove(to, &m->copy.items);
        break;
    case VERB_SEND:
        o->send(to, &m->copy.send);
        break;
    case VERB_LOAD:
        o->load(to, &m->copy.load);
        break;
    case VERB_STORE:
        o->store(to, &m->copy.store);
        break;
    case VERB_MAIL:
        o->mail(to, &m->copy.mail);
        break;
    case VERB_TELL:
        o->tell(to, &m->copy.items);
        break;
    case VERB_FORGET:
        o->forget(to, &m->copy.items);
        break;
    }
}

/* Keeping what lives only during the broker's call. */

static const mf_task_record *keep_tasks(message *m, const mf_task_record *tasks, size_t count)
{
    size_t bytes = (count + 1) * sizeof *tasks;

    for (size_t i = 0; i < count; i++)
        bytes += strlen(tasks[i].id) + 1;
    mf_task_record *records = m->records = calloc(1, bytes);
    char *text = (char *)(records + count + 1);
    for (size_t i = 0; i < count; i++) {
        records[i] = (mf_task_record){.id = text, .fence = tasks[i].fence};
        text = stpcpy(text, tasks[i].id) + 1;
    }
    return records;
}

static void keep_nodes(message *m)
{
    mf_nodes_request *nodes = &m->copy.nodes;
    size_t bytes = (nodes->count + 1) * sizeof *nodes->nodes;

    for (size_t i = 0; i < nodes->count; i++)
        bytes += strlen(nodes->nodes[i].name) + 1;
    mf_node *kept = m->records = calloc(1, bytes);
    char *text = (char *)(kept + nodes->count + 1);
    for (size_t i = 0; i < nodes->count; i++) {
        kept[i] = nodes->nodes[i];
        kept[i].name = text;
        text = stpcpy(text, nodes->nodes[i].name) + 1;
    }
    nodes->nodes = kept;
}

static void keep_commands(message *m)
{
    mf_receive_request *receive = &m->copy.receive;
    size_t bytes = (receive->count + 1) * sizeof *receive->commands;

    for (size_t i = 0; i < receive->count; i++)
        bytes += receive->commands[i].length + 1;
    mf_command_record *kept = m->records = calloc(1, bytes);
    char *text = (char *)(kept + receive->count + 1);
    for (size_t i = 0; i < receive->count; i++) {
        kept[i] = receive->commands[i];
        kept[i].json = text;
        text = (char *)memcpy(text, receive->commands[i].json, kept[i].length) + kept[i].length;
    }
    receive->commands = kept;
}

void message_keep(message *m)
{
    if (m->copy.head.error.code != MF_OK)
        return;
    if (m->what == VERB_CLAIMABLE)
        m->copy.page.records = keep_tasks(m, m->copy.page.records, m->copy.page.count);
    else if (m->what == VERB_HELD)
        m->copy.held.records = keep_tasks(m, m->copy.held.records, m->copy.held.count);
    else if (m->what == VERB_NODES)
        keep_nodes(m);
    else if (m->what == VERB_RECEIVE)
        keep_commands(m);
    else
        link_states_keep(m);
}

/* On the way out. */

static void claims_out(message *m)
{
    mf_claims_request *claims = (mf_claims_request *)m->original;

    for (size_t i = 0; i < claims->count; i++) {
        mf_claim *copy = &m->claim_copies[i];
        claims->claims[i]->result = copy->result;
        if (m->what != VERB_CLAIM || copy->result != MF_OK)
            continue;
        claims->claims[i]->fence = copy->fence;
        claims->claims[i]->properties = copy->properties;
        copy->properties = NULL;
    }
}

static void renew_out(message *m)
{
    mf_renew_request *renew = (mf_renew_request *)m->original;

    renew->held = m->copy.renew.held;
    renew->lost_count = m->copy.renew.lost_count;
    for (size_t i = 0; i < renew->lost_count; i++)
        renew->lost[i] = m->lost[i];
}

static void records_out(message *m)
{
    mf_request *original = m->original;

    if (m->what == VERB_CLAIMABLE) {
        mf_page_request *page = (mf_page_request *)original;
        memcpy(page->cursor, m->copy.page.cursor, sizeof page->cursor);
        page->records = m->copy.page.records;
        page->count = m->copy.page.count;
    } else if (m->what == VERB_HELD) {
        mf_held_request *held = (mf_held_request *)original;
        memcpy(held->cursor, m->copy.held.cursor, sizeof held->cursor);
        held->records = m->copy.held.records;
        held->count = m->copy.held.count;
    } else if (m->what == VERB_RECEIVE) {
        ((mf_receive_request *)original)->commands = m->copy.receive.commands;
        ((mf_receive_request *)original)->count = m->copy.receive.count;
    } else {
        ((mf_nodes_request *)original)->nodes = m->copy.nodes.nodes;
        ((mf_nodes_request *)original)->count = m->copy.nodes.count;
    }
}

void message_copy_out(message *m)
{
    mf_request *original = m->original;

    original->error = m->copy.head.error;
    if (original->error.code != MF_OK && original->error.code != MF_ENAMEINUSE)
        return;
    switch (m->what) {
    case VERB_JOIN:
        memcpy(((mf_join_request *)original)->holder, m->copy.join.holder, sizeof(char[33]));
        ((mf_join_request *)original)->remaining_ms = m->copy.join.remaining_ms;
        break;
    case VERB_RENEW:
        renew_out(m);
        break;
    case VERB_CLAIM:
    case VERB_RELEASE:
    case VERB_DONE:
        claims_out(m);
        break;
    case VERB_CLAIMABLE:
    case VERB_HELD:
    case VERB_RECEIVE:
    case VERB_NODES:
        records_out(m);
        break;
    case VERB_SUBMIT:
    case VERB_REMOVE:
    case VERB_TELL:
    case VERB_FORGET:
        for (size_t i = 0; i < m->copy.items.count; i++)
            ((mf_items_request *)original)->items[i].result = m->item_copies[i].result;
        break;
    case VERB_LOAD:
    case VERB_STORE:
    case VERB_MAIL:
        link_states_copy_out(m);
        break;
    case VERB_LEAVE:
    case VERB_SEND:
        break;
    }
}

/* Afterwards. */

static size_t claim_count(const message *m)
{
    return m->what == VERB_RENEW ? m->lease.count : m->copy.claims.count;
}

void message_forget(message *m)
{
    for (size_t i = 0; m->claim_copies != NULL && i < claim_count(m); i++) {
        free(m->claim_copies[i].properties);
        m->claim_copies[i].properties = NULL;
    }
    free(m->records);
    m->records = NULL;
}

static void free_item(const mf_item *item)
{
    free((char *)item->id);
    free((char *)item->properties);
}

void message_free(message *m)
{
    faulty_link *l = m->link;

    message_forget(m);
    for (size_t i = 0; m->claim_copies != NULL && i < claim_count(m); i++)
        free((char *)m->claim_copies[i].id);
    for (size_t i = 0; m->item_copies != NULL && i < m->copy.items.count; i++)
        free_item(&m->item_copies[i]);
    free(m->claim_copies);
    free(m->claim_pointers);
    free(m->item_copies);
    free(m->lost);
    free(m->text);
    free(m);
    link_release(l);
}
