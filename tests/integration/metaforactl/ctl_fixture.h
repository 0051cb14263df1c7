/* metaforactl as its users run it: a process, on a private broker, with real nodes beside it. */
#ifndef TEST_CTL_FIXTURE_H
#define TEST_CTL_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "process.h"

enum { CTL_NODES = 3, CTL_PATIENCE_MS = 60000 };

/* The private server, of the broker that the test is built for: server_redis.c or server_etcd.c. */
typedef struct ctl_server ctl_server;
/* `password`: clients must give it; the user is ctl_server_user(). NULL: they need none. */
ctl_server *ctl_server_start(const char *password);
void ctl_server_free(ctl_server *server);
void ctl_server_kill(ctl_server *server);
/* Without user and password. */
const char *ctl_server_url(const ctl_server *server);
const char *ctl_server_user(void); /* "": none is needed with a password */
/* Writes what is no properties of a task that exists, in namespace "ns". */
void ctl_server_damage(ctl_server *server, const char *id);
/* Puts something of another type where namespace "ns" is; false: this broker has no types. */
bool ctl_server_spoil(ctl_server *server);

typedef struct ctl_fixture {
    ctl_server *server;
    char *directory;
    process nodes[CTL_NODES]; /* "a", "b", "c" */
    char *out, *err;          /* what the last run printed */
} ctl_fixture;

int ctl_setup(void **state);
int ctl_teardown(void **state);

/* Runs metaforactl with these arguments (the last is NULL) on the server, namespace "ns"; returns
 * its exit status. */
int ctl_do(ctl_fixture *f, const char *first, ...);
/* The same with a text on stdin; with the arguments as they are, no broker added. */
int ctl_do_with(ctl_fixture *f, const char *input, const char *first, ...);
int ctl_do_bare(ctl_fixture *f, const char *const *arguments, const char *input);

/* The last run printed the text, on stdout and on stderr. */
#define assert_out(f, text) ctl_assert_has((f)->out, (text), __FILE__, __LINE__)
#define assert_err(f, text) ctl_assert_has((f)->err, (text), __FILE__, __LINE__)
void ctl_assert_has(const char *all, const char *text, const char *file, int line);

/* Runs ctl_do's arguments until stdout has the text. */
void ctl_await(ctl_fixture *f, const char *text, const char *first, ...);

/* A file of the directory with this text; its path, valid until the fixture is gone. */
const char *ctl_file(ctl_fixture *f, const char *name, const char *text);

/* What a file of the directory has, to be freed. */
char *ctl_text(ctl_fixture *f, const char *name);

/* A koalemosd by the name of node `n`, stateful, joined when this returns. Tasks with properties
 * {"args":["sleep","1000"]} run there. */
void ctl_start_node(ctl_fixture *f, int n);

#endif
