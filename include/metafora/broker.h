/* A handle on a broker: one namespace in one Redis, etcd or in-process store. */
#ifndef METAFORA_BROKER_H
#define METAFORA_BROKER_H

#include <stdbool.h>

#include <metafora/error.h>
#include <metafora/export.h>
#include <metafora/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_broker mf_broker;
typedef struct mf_driver mf_driver;

#define MF_BROKER_OPTIONS_VERSION 1

/* Zero or NULL in a field means its default. Strings are borrowed for the call that takes them. */
typedef struct mf_broker_options {
    int version;
    const char
        *name_space; /* required. 1-255 bytes of UTF-8 without control bytes, '/', '{', '}' */
    int connect_timeout_ms; /* 5,000. One attempt: name, TCP, TLS, authentication */
    int reply_timeout_ms;   /* 5,000. A peer that owes an answer for longer is dead */
    bool wait_for_broker;   /* keep trying when the first attempt fails, instead of an error */
    int wait_replicas;      /* Redis: replicas that must confirm what tasks hang on (WAIT): submits,
                             * removals, claims, renewals, endings */
    const char *tls_ca_file;   /* PEM; default: the system's store */
    const char *tls_cert_file; /* PEM, client certificate chain */
    const char *tls_key_file;  /* PEM, client key */
    bool tls_insecure;         /* accept any server certificate: for experiments only */
    int max_crashes; /* 5. So many owners in a row that died set a task aside; -1: never */
    /* redis+sentinel: the Sentinels' own credentials; the URL's are the servers'. */
    const char *sentinel_user, *sentinel_password;
} mf_broker_options;

#define MF_BROKER_OPTIONS_INIT                            \
    {                                                     \
        MF_FIRST_FIELD(version) MF_BROKER_OPTIONS_VERSION \
    }

/* Opens the broker of the driver that the program is linked with (metafora-redis or
 * metafora-etcd); `url` NULL means that driver's default. `embedded://` works in every program.
 *
 * URLs: redis://[user:password@]host[:6379][,host...][/db], rediss://...,
 * redis+cluster://[user:password@]host[:6379][,host...], rediss+cluster://...,
 * redis+sentinel://[user:password@]sentinel[:26379][,...]/master[/db], rediss+sentinel://...,
 * unix://[user:password@]/path[?db=N], etcd://[user:password@]host[:2379][,host...], etcds://...,
 * embedded://[name]. Percent-encoding is decoded in user, password and path. A query may set
 * connect_timeout_ms, reply_timeout_ms, wait_replicas, max_crashes, tls_ca_file, tls_cert_file,
 * tls_key_file, sentinel_user, sentinel_password; for etcd max_txn_ops.
 *
 * Returns at once; the connection is made by the loop. MF_EINVAL names the field and the rule,
 * never the password. */
MF_EXPORT int mf_broker_open(mf_broker **out, const char *url, const mf_broker_options *options,
                             mf_loop *loop, mf_error *error);

/* The same among several drivers, the first whose schemes contain the URL's; `drivers` ends with
 * NULL. For programs that choose at run time. */
MF_EXPORT int mf_broker_open_any(mf_broker **out, const char *url, const mf_broker_options *options,
                                 mf_loop *loop, const mf_driver *const *drivers, mf_error *error);

/* Closes: requests under way complete first (MF_EUNKNOWN or MF_ECLOSED), then closed(arg) is
 * called, never from inside this call, and the handle is gone. Consumers and clients that use the
 * handle must have closed before. `closed` may be NULL. */
MF_EXPORT void mf_broker_close(mf_broker *broker, void (*closed)(void *arg), void *arg);

/* The in-process broker. `embedded://name` handles of one name share one store, from any thread;
 * the store lives as long as a handle on it. */
MF_EXPORT extern const mf_driver mf_embedded_driver;

/* The driver that the program is linked with; each driver library defines it in an object of its
 * own. A link error that names it means: link metafora-redis, metafora-etcd or metafora-embedded.
 */
MF_EXPORT extern const mf_driver *const mf_linked_driver;

#ifndef METAFORA_LIBRARY
/* Only the core asks for mf_linked_driver. So that a linker which drops libraries that the program
 * itself asks nothing of (--as-needed, static archives) keeps the driver, each object asks as well.
 */
static const mf_driver *const *const mf__asks_for_driver __attribute__((used)) = &mf_linked_driver;
#endif

#ifdef __cplusplus
}
#endif
#endif
