/* What the values of keys say. */
#ifndef MF_ETCD_RECORDS_H
#define MF_ETCD_RECORDS_H

#include "op.h"

mf_bytes mf__number_text(mf_op *op, uint64_t number);
/* Reads a decimal number. False: it is none. */
bool mf__number_of(uint64_t *out, mf_bytes text);

/* Logs that a record in the broker is damaged; not more than a few in a minute. */
void mf__etcd_damage(mf_etcd *etcd, const char *format, ...) MF_PRINTF(2, 3);

/* Properties as the broker has them, from malloc; NULL and MF_OK: there are none. MF_EDAMAGED
 * (logged), MF_ENOMEM. `value` may be NULL. */
int mf__properties_read(char **out, mf_etcd *etcd, const char *id, const Etcd__KeyValue *value);

/* The fence base under "_mf/fence"; `value` may be NULL. MF_EDAMAGED. */
int mf__fence_base_read(uint64_t *out, const Etcd__KeyValue *value);

/* Reads the records of up to a batch of tasks. */
mf_txn *mf__records_txn(mf_op *op, const char *const *ids, size_t count);
/* By its answer, in the order of the ids, which are borrowed. */
void mf__records_read(mf_op *op, const Etcd__TxnResponse *answer, const char *const *ids,
                      size_t count, mf_task_record *out);

#endif
