/* The rules for a member of etcd, as docs/operations.md gives them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

/* Earlier ones can repeat or lose events, revoke leases wrongly, and read stale data. */
static bool is_sound(int major, int minor, int patch)
{
    static const int least[][3] = {{3, 4, 42}, {3, 5, 28}, {3, 6, 9}};

    for (size_t i = 0; i < sizeof least / sizeof *least; i++)
        if (major == least[i][0] && minor == least[i][1])
            return patch >= least[i][2];
    return true;
}

static void check_version(findings *to, const char *status)
{
    int major = 0, minor = 0, patch = 0;
    char version[64];

    doctor_field(version, sizeof version, status, "version");
    sscanf(version, "%d.%d.%d", &major, &minor, &patch);
    if (major < 3 || (major == 3 && minor < 4))
        finding_add(to, "version", FINDING_BAD, "upgrade: the driver needs 3.4 or later", "etcd %s",
                    version);
    else if (!is_sound(major, minor, patch))
        finding_add(
            to, "version", FINDING_WARNING,
            "upgrade to 3.4.42, 3.5.28, 3.6.9 or later: this one can lose events and revoke "
            "leases wrongly",
            "etcd %s", version);
    else
        finding_add(to, "version", FINDING_GOOD, NULL, "etcd %s", version);
}

static void check_member(findings *to, const char *status)
{
    char leader[32], learner[8];

    doctor_field(leader, sizeof leader, status, "leader");
    doctor_field(learner, sizeof learner, status, "learner");
    if (strcmp(leader, "0") == 0)
        finding_add(to, "leader", FINDING_BAD, "look at the other members: a majority must be up",
                    "this member has none");
    else if (strcmp(learner, "1") == 0)
        finding_add(to, "leader", FINDING_BAD, "promote it, or name others in the URL",
                    "this member is a learner");
    else
        finding_add(to, "leader", FINDING_GOOD, NULL, "there is one");
}

static void check_space(findings *to, const char *status)
{
    char size[32], used[32], alarm[256];

    doctor_field(size, sizeof size, status, "db_size");
    doctor_field(used, sizeof used, status, "db_size_in_use");
    long long bytes = strtoll(size, NULL, 10), in_use = strtoll(used, NULL, 10);
    if (doctor_field(alarm, sizeof alarm, status, "alarm"))
        finding_add(to, "alarms", FINDING_BAD,
                    "NOSPACE: etcdctl compact, defrag each member, then alarm disarm "
                    "(docs/operations.md)",
                    "%s", alarm);
    if (bytes > (INT64_C(2) << 30) / 10 * 8)
        finding_add(to, "space", FINDING_WARNING,
                    "compare with --quota-backend-bytes, which is 2 GiB by default; "
                    "--auto-compaction and etcdctl defrag keep it small",
                    "the database has %lld MiB, %lld in use", bytes >> 20, in_use >> 20);
    else
        finding_add(to, "space", FINDING_GOOD, NULL, "the database has %lld MiB, %lld in use",
                    bytes >> 20, in_use >> 20);
}

void doctor_etcd(findings *to, const char *status)
{
    check_version(to, status);
    check_member(to, status);
    check_space(to, status);
}
