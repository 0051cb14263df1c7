/* The driver for Redis (and Valkey) from 7.0 on. */
#ifndef METAFORA_REDIS_H
#define METAFORA_REDIS_H

#include <metafora/broker.h>
#include <metafora/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For mf_broker_open_any. URLs: redis://[user:password@]host[:6379][/db], rediss:// for TLS,
 * unix://[user:password@]/path[?db=N]. Several hosts, "a:6379,b:6379", are tried in turn; one that
 * is a replica is passed over.
 *
 * The server's settings are checked when a connection is made. MF_EREFUSED: it is too old, refuses
 * the credentials, or has a maxmemory-policy that evicts keys. */
MF_EXPORT extern const mf_driver mf_redis_driver;

#ifdef __cplusplus
}
#endif
#endif
