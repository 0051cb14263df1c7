/* Certificates for tests of TLS, made once in a process. */
#ifndef MF_TESTS_CERTIFICATES_H
#define MF_TESTS_CERTIFICATES_H

/* The directory with these files (PEM), which is removed when the process ends:
 *   ca.crt                   an authority, and what it signed:
 *   server.crt, server.key   for localhost, 127.0.0.1 and ::1
 *   elsewhere.crt, .key      for elsewhere.test only
 *   expired.crt, .key        as server.crt, but it ended yesterday
 *   client.crt, client.key   for a client, named tester
 *   locked.key               client.key under a password
 *   other-ca.crt             an authority that signed none of them, but
 *   stranger.crt, .key       for a client, named stranger */
const char *certificates_directory(void);

/* A file of it: static text, valid until the eighth call after it. */
const char *certificates_file(const char *name);

#endif
