/* TLS as a filter between two buffers. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/text.h"
#include "net/tls_context.h"

#define RECORD_MOST 16384

/* OpenSSL's side of the buffers. */

static int read_received(BIO *bio, char *out, int size)
{
    mf_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    int got = evbuffer_remove(tls->received, out, (size_t)size);
    if (got > 0)
        return got;
    BIO_set_retry_read(bio);
    return -1;
}

static int write_to_send(BIO *bio, const char *data, int size)
{
    mf_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    return evbuffer_add(tls->to_send, data, (size_t)size) == 0 ? size : -1;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int begin(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *mf__tls_bio_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "evbuffer");

    if (method == NULL)
        return NULL;
    BIO_meth_set_create(method, begin);
    BIO_meth_set_read(method, read_received);
    BIO_meth_set_write(method, write_to_send);
    BIO_meth_set_ctrl(method, control);
    return method;
}

/* A session. */

/* SNI carries names only, and an address is looked for among the certificate's addresses. */
static bool set_host(SSL *ssl, const char *host)
{
    char name[256];

    snprintf(name, sizeof name, "%s", host);
    name[strcspn(name, "%")] = '\0'; /* the zone of fe80::1%eth0 is only known here */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return true;
    size_t size = strlen(name);
    if (size > 0 && name[size - 1] == '.')
        name[size - 1] = '\0';
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool set_up(mf_tls *tls, const char *host)
{
    tls->received = evbuffer_new();
    tls->to_send = evbuffer_new();
    tls->ssl = SSL_new(tls->context->ssl);
    BIO *bio = BIO_new(tls->context->bio);
    if (tls->received == NULL || tls->to_send == NULL || tls->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return false;
    }
    BIO_set_data(bio, tls);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    return set_host(tls->ssl, host);
}

mf_tls *mf__tls_new(const mf_tls_context *context, const char *host)
{
    mf_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return NULL;
    tls->context = context;
    if (set_up(tls, host))
        return tls;
    ERR_clear_error();
    mf__tls_free(tls);
    return NULL;
}

void mf__tls_free(mf_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    if (tls->received != NULL)
        evbuffer_free(tls->received);
    if (tls->to_send != NULL)
        evbuffer_free(tls->to_send);
    free(tls);
}

static void explain(mf_tls *tls)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verified = SSL_get_verify_result(tls->ssl);

    if (verified != X509_V_OK && !tls->context->insecure)
        snprintf(tls->why, sizeof tls->why, "TLS: certificate not accepted: %s",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(tls->why, sizeof tls->why, "TLS: %s", reason != NULL ? reason : "failed");
    ERR_clear_error();
}

/* False: the session has ended; true: it waits for more. */
static bool may_go_on(mf_tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return true;
    case SSL_ERROR_ZERO_RETURN:
        snprintf(tls->why, sizeof tls->why, "connection closed by peer");
        return false;
    default:
        explain(tls);
        return false;
    }
}

static bool check_protocol(mf_tls *tls)
{
    const char *wanted = tls->context->protocol;
    const unsigned char *selected;
    unsigned size;

    SSL_get0_alpn_selected(tls->ssl, &selected, &size);
    if (wanted == NULL || (size == strlen(wanted) && memcmp(selected, wanted, size) == 0))
        return true;
    snprintf(tls->why, sizeof tls->why, "TLS: server does not speak %.100s", wanted);
    return false;
}

static bool shake_hands(mf_tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        return may_go_on(tls, result);
    tls->ready = check_protocol(tls);
    return tls->ready;
}

bool mf__tls_read(mf_tls *tls, struct evbuffer *input)
{
    struct evbuffer_iovec space;
    size_t got;

    if (!tls->ready && !shake_hands(tls))
        return false;
    while (tls->ready) {
        if (evbuffer_reserve_space(input, RECORD_MOST, &space, 1) != 1) {
            snprintf(tls->why, sizeof tls->why, "out of memory");
            return false;
        }
        ERR_clear_error();
        int result = SSL_read_ex(tls->ssl, space.iov_base, space.iov_len, &got);
        if (result != 1)
            return may_go_on(tls, result);
        space.iov_len = got;
        evbuffer_commit_space(input, &space, 1);
    }
    return true;
}

bool mf__tls_write(mf_tls *tls, struct evbuffer *output, size_t limit)
{
    size_t left, sent;

    while (tls->ready && (left = evbuffer_get_length(output)) != 0 &&
           evbuffer_get_length(tls->to_send) < limit) {
        size_t size = left < RECORD_MOST ? left : RECORD_MOST;
        const unsigned char *record = evbuffer_pullup(output, (ev_ssize_t)size);
        if (record == NULL) {
            snprintf(tls->why, sizeof tls->why, "out of memory");
            return false;
        }
        ERR_clear_error();
        int result = SSL_write_ex(tls->ssl, record, size, &sent);
        if (result != 1)
            return may_go_on(tls, result);
        evbuffer_drain(output, sent);
    }
    return true;
}

void mf__tls_end(mf_tls *tls)
{
    ERR_clear_error();
    if (tls->ready)
        SSL_shutdown(tls->ssl);
    ERR_clear_error();
}
