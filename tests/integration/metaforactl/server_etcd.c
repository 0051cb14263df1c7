/* The private server for metaforactl's tests: etcd. */
#include "ctl_fixture.h"

#include <stdio.h>

#include "etcd_server.h"

ctl_server *ctl_server_start(const char *password)
{
    etcd_server *server = etcd_server_start(NULL);
    char user[64];

    if (password != NULL) {
        snprintf(user, sizeof user, "root:%s", password);
        etcd_ctl_do(server, "user", "add", user, NULL);
        etcd_ctl_do(server, "user", "grant-role", "root", "root", NULL);
        etcd_ctl_do(server, "auth", "enable", NULL);
    }
    return (ctl_server *)server;
}

void ctl_server_free(ctl_server *server)
{
    etcd_server_free((etcd_server *)server);
}

void ctl_server_kill(ctl_server *server)
{
    etcd_server_kill((etcd_server *)server, 0);
}

const char *ctl_server_url(const ctl_server *server)
{
    return ((const etcd_server *)server)->url;
}

const char *ctl_server_user(void)
{
    return "root";
}

void ctl_server_damage(ctl_server *server, const char *id)
{
    char key[128];
    snprintf(key, sizeof key, "/ns/tasks/%s/props", id);
    etcd_ctl_do((etcd_server *)server, "put", key, "{broken", NULL);
}

bool ctl_server_spoil(ctl_server *server)
{
    (void)server;
    return false;
}
