/* The driver for etcd from 3.4 on. */
#ifndef METAFORA_ETCD_H
#define METAFORA_ETCD_H

#include <metafora/broker.h>
#include <metafora/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For mf_broker_open_any. URLs: etcd://[user:password@]host[:2379][,host[:2379]...], etcds:// for
 * TLS. The hosts are members of one cluster and are tried in turn; one that has no leader is passed
 * over. max_txn_ops=N in the query tells the servers' --max-txn-ops when it is not 128.
 *
 * A namespace is shared with the Go library lytics/metafora, whose layout of keys it has; nodes of
 * both may be in it. Leases are in whole seconds: a lease of 2,500 ms holds for that long, and its
 * tasks are taken over after 3 s. */
MF_EXPORT extern const mf_driver mf_etcd_driver;

#ifdef __cplusplus
}
#endif
#endif
