/* Records as the broker has them: read, checked, and told of when they are damaged. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crashes.h"
#include "delays.h"
#include "document.h"
#include "handle.h"
#include "keys.h"
#include "op.h"
#include "records.h"
#include "slots.h"

static const int64_t damage_period_us = 60000000;
enum { DAMAGE_LINES = 5 };

void mf__etcd_damage(mf_etcd *etcd, const char *format, ...)
{
    int64_t now = mf_loop_now_us(etcd->broker.loop);
    char text[300];
    va_list arguments;

    if (etcd->damage_count == 0 || now - etcd->damage_since_us > damage_period_us) {
        etcd->damage_since_us = now;
        etcd->damage_count = 0;
    }
    if (++etcd->damage_count > DAMAGE_LINES)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mf_log(etcd->broker.loop, MF_LOG_ERROR, "etcd", "%s%s", text,
           etcd->damage_count == DAMAGE_LINES ? "; more of this is not logged for a minute" : "");
}

int mf__properties_read(char **out, mf_etcd *etcd, const char *id, const Etcd__KeyValue *value)
{
    mf_error error;

    *out = NULL;
    if (value == NULL)
        return MF_OK;
    mf_bytes bytes = value->value;
    if (bytes.len > 0 && memchr(bytes.data, '\0', bytes.len) != NULL) {
        mf__etcd_damage(etcd, "task \"%s\": properties: contain a NUL byte", id);
        return MF_EDAMAGED;
    }
    char *text = mf__bytes_to_text(bytes);
    if (text == NULL)
        return MF_ENOMEM;
    if (mf_check_properties("properties", text, &error) != MF_OK) {
        mf__etcd_damage(etcd, "task \"%s\": %s", id, error.text);
        free(text);
        return MF_EDAMAGED;
    }
    *out = text;
    return MF_OK;
}

mf_bytes mf__number_text(mf_op *op, uint64_t number)
{
    char *text = mf__arena_take(&op->arena, 24);

    snprintf(text, 24, "%llu", (unsigned long long)number);
    return mf__bytes_of(text);
}

bool mf__number_of(uint64_t *out, mf_bytes text)
{
    uint64_t number = 0;

    if (text.len < 1 || text.len > 19)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = number;
    return true;
}

int mf__fence_base_read(uint64_t *out, const Etcd__KeyValue *value)
{
    *out = value == NULL ? 0 : *out;
    return value == NULL || mf__number_of(out, value->value) ? MF_OK : MF_EDAMAGED;
}

/* lookup, and the records of a page of tasks. */

/* A copy in the operation's arena, with a zero byte behind it; NULL when there is one in it. */
static const char *text_of(mf_op *op, mf_bytes bytes)
{
    const char *text = mf__bytes_terminated(&op->arena, bytes);

    return bytes.len > 0 && memchr(text, '\0', bytes.len) != NULL ? NULL : text;
}

static void read_properties(mf_op *op, mf_task_record *record, const Etcd__KeyValue *value)
{
    if (value == NULL)
        return;
    record->properties = text_of(op, value->value);
    if (record->properties == NULL ||
        mf_check_properties("properties", record->properties, NULL) != MF_OK) {
        record->properties = NULL;
        record->code = MF_EDAMAGED;
    }
}

static void read_owner(mf_op *op, mf_task_record *record, const Etcd__KeyValue *value)
{
    mf_etcd_document found;

    if (value == NULL)
        return;
    record->fence = (uint64_t)value->create_revision + op->etcd->fence_base;
    if (mf__etcd_document_read(&found, value->value, &op->arena) == MF_OK)
        record->owner = found.node;
    else
        record->code = MF_EDAMAGED;
}

mf_txn *mf__records_txn(mf_op *op, const char *const *ids, size_t count)
{
    mf_arena *arena = &op->arena;
    mf_txn *txn = mf__txn_new(arena, 0, count + 1, 0);

    mf__txn_then(txn, mf__op_get(arena, mf__key(op->etcd, arena, "_mf/fence")));
    for (size_t i = 0; i < count; i++) {
        mf_task_keys keys = mf__task_keys(op->etcd, arena, ids[i]);
        mf_txn *one = mf__txn_new(arena, 0, 5, 0);
        mf__txn_then(one, mf__op_count(arena, keys.task));
        mf__txn_then(one, mf__op_get(arena, keys.properties));
        mf__txn_then(one, mf__op_get(arena, keys.owner));
        mf__txn_then(one, mf__op_get(arena, mf__crash_key(op->etcd, arena, ids[i])));
        mf__txn_then(one, mf__op_get(arena, mf__delay_key(op->etcd, arena, ids[i])));
        mf__txn_then(txn, mf__op_txn(arena, one));
    }
    return txn;
}

void mf__records_read(mf_op *op, const Etcd__TxnResponse *answer, const char *const *ids,
                      size_t count, mf_task_record *out)
{
    (void)mf__fence_base_read(&op->etcd->fence_base, mf__answer_get(answer, 0));
    for (size_t i = 0; i < count; i++) {
        const Etcd__TxnResponse *part = mf__answer_txn(answer, i + 1);
        mf_task_record *record = &out[i];
        *record = (mf_task_record){.id = ids[i]};
        if (!mf__answer_exists(part, 0)) {
            record->code = MF_EGONE;
            continue;
        }
        read_properties(op, record, mf__answer_get(part, 1));
        read_owner(op, record, mf__answer_get(part, 2));
        record->crashes = mf__crash_count(mf__answer_get(part, 3));
        record->set_aside = mf__is_set_aside(mf__answer_get(part, 4));
    }
}

typedef struct lookup_op {
    mf_op op; /* first */
    mf_lookup_request *request;
} lookup_op;

static void on_looked_up(mf_op *op)
{
    mf_lookup_request *request = ((lookup_op *)op)->request;
    mf_task_record *records = MF_ARENA_NEW(&op->arena, mf_task_record, request->id_count);

    mf__records_read(op, mf__op_txn_answer(op), request->ids, request->id_count, records);
    request->records = records;
    mf__op_end(op);
}

void mf__etcd_lookup(mf_broker *broker, mf_lookup_request *request)
{
    lookup_op *lookup = mf__op_new(broker, &request->request, sizeof *lookup);

    if (lookup == NULL)
        return;
    lookup->request = request;
    mf__op_transact(&lookup->op, mf__records_txn(&lookup->op, request->ids, request->id_count),
                    on_looked_up);
}
