/* What TLS connections share: certificates, keys and rules. */
#include "net/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/text.h"

#define ALPN_MOST 255

/* Nobody is there to be asked for the password of a key, which OpenSSL would do on the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)arg = true;
    return -1;
}

static int refuse(mf_error *error, const char *option, const char *path)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    char text[100];

    mf__text_copy(text, sizeof text, reason != NULL ? reason : "not usable");
    ERR_clear_error();
    return mf_error_set(error, MF_EINVAL, "%s: %.100s: %s", option, path, text);
}

static int check_readable(const char *option, const char *path, mf_error *error)
{
    char text[64];

    if (access(path, R_OK) == 0)
        return MF_OK;
    mf__text_of_errno(text, sizeof text, errno);
    return mf_error_set(error, MF_EINVAL, "%s: %.100s: %s", option, path, text);
}

static int load_authorities(SSL_CTX *ssl, const char *path, mf_error *error)
{
    if (path == NULL) {
        if (SSL_CTX_set_default_verify_paths(ssl) != 1)
            return refuse(error, "tls_ca_file", "the system's store");
        return MF_OK;
    }
    int code = check_readable("tls_ca_file", path, error);
    if (code == MF_OK && SSL_CTX_load_verify_file(ssl, path) != 1)
        code = refuse(error, "tls_ca_file", path);
    return code;
}

static int load_key(mf_tls_context *context, const char *key, mf_error *error)
{
    int code = check_readable("tls_key_file", key, error);

    if (code != MF_OK)
        return code;
    /* It also checks that the key is the certificate's. */
    if (SSL_CTX_use_PrivateKey_file(context->ssl, key, SSL_FILETYPE_PEM) == 1)
        return MF_OK;
    if (!context->locked)
        return refuse(error, "tls_key_file", key);
    ERR_clear_error();
    return mf_error_set(error, MF_EINVAL, "tls_key_file: %.100s: needs a password", key);
}

static int load_certificate(mf_tls_context *context, const char *certificate, const char *key,
                            mf_error *error)
{
    if (certificate == NULL)
        return key == NULL
                   ? MF_OK
                   : mf_error_set(error, MF_EINVAL, "tls_key_file: given without tls_cert_file");
    int code = check_readable("tls_cert_file", certificate, error);
    if (code == MF_OK && SSL_CTX_use_certificate_chain_file(context->ssl, certificate) != 1)
        code = refuse(error, "tls_cert_file", certificate);
    if (code != MF_OK)
        return code;
    if (key == NULL)
        key = certificate;
    return load_key(context, key, error);
}

static int set_protocol(SSL_CTX *ssl, const char *name, mf_error *error)
{
    unsigned char wire[ALPN_MOST + 1];
    size_t size = strlen(name);

    if (size == 0 || size > ALPN_MOST)
        return mf_error_set(error, MF_EINVAL, "tls_alpn: not 1 to %d bytes", ALPN_MOST);
    wire[0] = (unsigned char)size;
    memcpy(wire + 1, name, size);
    /* This one returns 0 for success. */
    if (SSL_CTX_set_alpn_protos(ssl, wire, (unsigned)size + 1) != 0)
        return mf_error_set(error, MF_ENOMEM, "TLS: out of memory");
    return MF_OK;
}

static int configure(mf_tls_context *context, const mf_connection_options *options, mf_error *error)
{
    SSL_CTX *ssl = context->ssl;

    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &context->locked);
    SSL_CTX_set_verify(ssl, options->tls_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);

    int code = load_authorities(ssl, options->tls_ca_file, error);
    if (code == MF_OK)
        code = load_certificate(context, options->tls_cert_file, options->tls_key_file, error);
    if (code == MF_OK && options->tls_alpn != NULL)
        code = set_protocol(ssl, options->tls_alpn, error);
    return code;
}

int mf__tls_context_new(mf_tls_context **out, const mf_connection_options *options, mf_error *error)
{
    mf_tls_context *context = calloc(1, sizeof *context);
    if (context == NULL)
        return mf_error_set(error, MF_ENOMEM, "TLS: out of memory");
    ERR_clear_error();
    context->insecure = options->tls_insecure;
    context->ssl = SSL_CTX_new(TLS_client_method());
    context->bio = mf__tls_bio_new();
    if (options->tls_alpn != NULL)
        context->protocol = strdup(options->tls_alpn);

    int code = MF_OK;
    if (context->ssl == NULL || context->bio == NULL ||
        (options->tls_alpn != NULL && context->protocol == NULL))
        code = mf_error_set(error, MF_ENOMEM, "TLS: out of memory");
    else
        code = configure(context, options, error);
    if (code != MF_OK)
        mf__tls_context_free(context);
    else
        *out = context;
    return code;
}

void mf__tls_context_free(mf_tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->bio);
    free(context->protocol);
    free(context);
}
