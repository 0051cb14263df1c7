/* Certificates for tests of TLS, made once in a process. */
#include "certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

#define DAY_S 86400

static char *directory;
static pid_t made_by;

typedef struct identity {
    X509 *certificate;
    EVP_PKEY *key;
} identity;

static void forget(void)
{
    if (getpid() == made_by)
        directory_remove(directory);
}

const char *certificates_file(const char *name)
{
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", certificates_directory(), name);
    return path;
}

static void write_pem(const char *name, const char *ending, const identity *id)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s.%s", directory, name, ending);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    if (strcmp(ending, "crt") == 0)
        assert_int_equal(PEM_write_X509(file, id->certificate), 1);
    else
        assert_int_equal(PEM_write_PrivateKey(file, id->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Signed by `issuer`, or by itself. `names` is a subjectAltName; NULL: an authority. */
static identity make(const char *name, const identity *issuer, const char *names, long days)
{
    static long serial;
    identity id = {X509_new(), EVP_EC_gen("P-256")};
    assert_true(id.certificate != NULL && id.key != NULL);
    issuer = issuer != NULL ? issuer : &id;

    X509_set_version(id.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id.certificate), -10 * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(id.certificate), days * DAY_S);
    X509_set_pubkey(id.certificate, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id.certificate, X509_get_subject_name(issuer->certificate));
    add_extension(id.certificate, NID_basic_constraints,
                  names != NULL ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names != NULL)
        add_extension(id.certificate, NID_subject_alt_name, names);
    assert_true(X509_sign(id.certificate, issuer->key, EVP_sha256()) > 0);
    write_pem(name, "crt", &id);
    write_pem(name, "key", &id);
    return id;
}

static void drop(identity id)
{
    X509_free(id.certificate);
    EVP_PKEY_free(id.key);
}

static void write_locked(const identity *id)
{
    char path[256];

    snprintf(path, sizeof path, "%s/locked.key", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(file, id->key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    fclose(file);
}

static void make_all(void)
{
    const char *here = "DNS:localhost,IP:127.0.0.1,IP:::1";
    identity ca = make("ca", NULL, NULL, 10);
    identity other = make("other-ca", NULL, NULL, 10);

    drop(make("server", &ca, here, 10));
    drop(make("elsewhere", &ca, "DNS:elsewhere.test", 10));
    drop(make("expired", &ca, here, -1));
    identity client = make("client", &ca, "DNS:tester", 10);
    write_locked(&client);
    drop(client);
    drop(make("stranger", &other, "DNS:stranger", 10));
    drop(ca);
    drop(other);
}

const char *certificates_directory(void)
{
    if (directory == NULL) {
        made_by = getpid();
        directory = directory_new();
        atexit(forget);
        make_all();
    }
    return directory;
}
