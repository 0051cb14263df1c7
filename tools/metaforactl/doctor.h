/* What a look at a namespace and its broker finds, and the rules by which it judges. */
#ifndef METAFORACTL_DOCTOR_H
#define METAFORACTL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum finding_level { FINDING_GOOD, FINDING_WARNING, FINDING_BAD } finding_level;

typedef struct finding {
    const char *check; /* static: "persistence" */
    finding_level level;
    char *text;         /* what is so */
    const char *advice; /* static, what to do; NULL when it is good */
} finding;

typedef struct findings {
    finding *all;
    size_t count;
} findings;

/* Texts that do not fit into memory end the program. */
void finding_add(findings *to, const char *check, finding_level level, const char *advice,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
void findings_clear(findings *list);

/* The value of the first line "<name>:<value>"; false: there is none. */
bool doctor_field(char *out, size_t size, const char *text, const char *name);

/* What Redis says by INFO. `ahead_us`: by how much its clock is before this machine's. */
void doctor_redis(findings *to, const char *info, int64_t ahead_us);
/* What the etcd driver says of a member's status. */
void doctor_etcd(findings *to, const char *status);

#endif
