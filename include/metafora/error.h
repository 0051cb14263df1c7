/* Error codes of libmetafora and the object that carries an error's text. */
#ifndef METAFORA_ERROR_H
#define METAFORA_ERROR_H

#include <stdbool.h>

#include <metafora/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every code: name, value, text. Three families, told apart by value:
 *   -1  to -19  try again: the world may be different soon
 *   -20 to -39  expected: an answer, not a fault (taken, gone, ...)
 *   -40 and on  the call or the object is at fault; repeating it changes nothing
 * MF_EUNREACHABLE promises that the broker did not execute the request; MF_EUNKNOWN does not.
 * MF_EUNCONFIRMED (wait_replicas) says that it did, and that a failover may undo it. */
#define MF_ERROR_MAP(X)                                                              \
    X(MF_EUNREACHABLE, -1, "broker unreachable, request not executed")               \
    X(MF_EUNKNOWN, -2, "reply lost, request may have been executed")                 \
    X(MF_ESTALE, -3, "request overtaken by a newer connection of the same session")  \
    X(MF_ENOSESSION, -4, "session is not known to the broker (lapsed)")              \
    X(MF_EUNCONFIRMED, -5, "executed, but confirmed by too few replicas")            \
    X(MF_ETAKEN, -20, "task has an owner")                                           \
    X(MF_EGONE, -21, "no such task")                                                 \
    X(MF_EEXISTS, -22, "task exists already")                                        \
    X(MF_ELATE, -23, "not the owner of the task any more, refused")                  \
    X(MF_EMOVED, -24, "namespace has moved to another broker")                       \
    X(MF_ENONODE, -25, "no such node")                                               \
    X(MF_EINVAL, -40, "invalid argument")                                            \
    X(MF_ENOMEM, -41, "out of memory")                                               \
    X(MF_ENAMEINUSE, -42, "node name is in use by a live consumer")                  \
    X(MF_ECLOSED, -43, "object is closing or closed")                                \
    X(MF_EPROTO, -44, "broker sent something that is not understood")                \
    X(MF_EREFUSED, -45, "broker refused: credentials, permissions or configuration") \
    X(MF_ENOTSUP, -46, "not supported by this driver")                               \
    X(MF_EDAMAGED, -47, "a record in the broker is damaged")                         \
    X(MF_ESYSTEM, -48, "operating system call failed")

enum {
    MF_OK = 0,
#define MF_ERROR_ENUM(name, value, text) name = value,
    MF_ERROR_MAP(MF_ERROR_ENUM)
#undef MF_ERROR_ENUM
};

/* A code and one line of text for people, which names the field and the rule, or the peer and the
 * cause. Functions that take an `mf_error *` accept NULL and write it only when they fail. */
typedef struct mf_error {
    int code;
    char text[236];
} mf_error;

/* The code's text, a static string; "unknown error" for a value that is no code. Any thread. */
MF_EXPORT const char *mf_strerror(int code);

/* The code's name ("MF_ETAKEN"), a static string. Any thread. */
MF_EXPORT const char *mf_error_name(int code);

/* True for the try-again family. */
MF_EXPORT bool mf_error_is_transient(int code);

#ifdef __cplusplus
}
#endif
#endif
