/* Inside TLS: what tls.c and tls_context.c share. */
#ifndef MF_NET_TLS_CONTEXT_H
#define MF_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "net/tls.h"

struct mf_tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *bio; /* reads and writes the buffers of a session */
    char *protocol;  /* that must be selected by ALPN; NULL: none */
    bool insecure;
    bool locked; /* a file was under a password */
};

/* NULL: out of memory. */
BIO_METHOD *mf__tls_bio_new(void);

#endif
