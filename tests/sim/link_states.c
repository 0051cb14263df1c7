/* Requests about states of tasks and messages to them, on their way in and out. */
#include <stdlib.h>
#include <string.h>

#include "link_internal.h"

static void copy_load(message *m)
{
    const mf_load_request *original = (const mf_load_request *)m->original;
    size_t bytes = original->id_count * sizeof(char *);

    for (size_t i = 0; i < original->id_count; i++)
        bytes += strlen(original->ids[i]) + 1;
    m->text = malloc(bytes + 1);
    const char **ids = (const char **)m->text;
    char *text = (char *)(ids + original->id_count);
    for (size_t i = 0; i < original->id_count; i++) {
        ids[i] = text;
        text = stpcpy(text, original->ids[i]) + 1;
    }
    m->copy.load = *original;
    m->copy.load.ids = ids;
}

static void copy_store(message *m)
{
    const mf_store_request *original = (const mf_store_request *)m->original;
    size_t bytes = original->count * sizeof *original->writes;

    for (size_t i = 0; i < original->count; i++)
        bytes += strlen(original->writes[i].id) + 1 + original->writes[i].length + 1;
    m->text = malloc(bytes + 1);
    mf_write *writes = (mf_write *)m->text;
    char *text = (char *)(writes + original->count);
    for (size_t i = 0; i < original->count; i++) {
        writes[i] = original->writes[i];
        writes[i].id = strcpy(text, original->writes[i].id);
        text += strlen(text) + 1;
        if (writes[i].json == NULL)
            continue;
        writes[i].json = memcpy(text, original->writes[i].json, writes[i].length);
        text[writes[i].length] = '\0';
        text += writes[i].length + 1;
    }
    m->copy.store = *original;
    m->copy.store.writes = writes;
    link_copy_session(m, &m->copy.store.session);
}

void link_states_copy_in(message *m)
{
    if (m->what == VERB_LOAD) {
        copy_load(m);
    } else if (m->what == VERB_STORE) {
        copy_store(m);
    } else {
        m->copy.mail = *(mf_mail_request *)m->original;
        link_copy_session(m, &m->copy.mail.session);
    }
}

static void keep_documents(message *m)
{
    mf_load_request *load = &m->copy.load;
    size_t bytes = (load->id_count + 1) * sizeof *load->documents;

    for (size_t i = 0; i < load->id_count; i++)
        bytes += load->documents[i].length + 1;
    mf_document *kept = m->records = calloc(1, bytes);
    char *text = (char *)(kept + load->id_count + 1);
    for (size_t i = 0; i < load->id_count; i++) {
        kept[i] = load->documents[i];
        kept[i].id = load->ids[i];
        if (kept[i].json == NULL)
            continue;
        kept[i].json = memcpy(text, load->documents[i].json, kept[i].length);
        text += kept[i].length + 1;
    }
    load->documents = kept;
}

static void keep_mail(message *m)
{
    mf_mail_request *mail = &m->copy.mail;
    size_t bytes = (mail->count + 1) * sizeof *mail->mail;

    for (size_t i = 0; i < mail->count; i++)
        bytes += strlen(mail->mail[i].id) + 1 + mail->mail[i].length + 1;
    mf_mail *kept = m->records = calloc(1, bytes);
    char *text = (char *)(kept + mail->count + 1);
    for (size_t i = 0; i < mail->count; i++) {
        kept[i] = mail->mail[i];
        kept[i].id = strcpy(text, mail->mail[i].id);
        text += strlen(text) + 1;
        kept[i].json = memcpy(text, mail->mail[i].json, kept[i].length);
        text += kept[i].length + 1;
    }
    mail->mail = kept;
}

void link_states_keep(message *m)
{
    if (m->what == VERB_LOAD)
        keep_documents(m);
    else if (m->what == VERB_MAIL)
        keep_mail(m);
}

void link_states_copy_out(message *m)
{
    if (m->what == VERB_LOAD) {
        ((mf_load_request *)m->original)->documents = m->copy.load.documents;
    } else if (m->what == VERB_MAIL) {
        mf_mail_request *mail = (mf_mail_request *)m->original;
        mail->after = m->copy.mail.after;
        mail->mail = m->copy.mail.mail;
        mail->count = m->copy.mail.count;
        mail->more = m->copy.mail.more;
    } else {
        mf_store_request *store = (mf_store_request *)m->original;
        for (size_t i = 0; i < store->count; i++)
            store->writes[i].result = m->copy.store.writes[i].result;
    }
}
