/* Commands to a node, and their JSON: {"command":"stop_task","parameters":{"task":"<id>"}}. */
#ifndef METAFORA_COMMAND_H
#define METAFORA_COMMAND_H

#include <stddef.h>

#include <metafora/error.h>
#include <metafora/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mf_command_verb {
    MF_COMMAND_FREEZE,    /* claim nothing more */
    MF_COMMAND_UNFREEZE,  /* claim again */
    MF_COMMAND_BALANCE,   /* balance now */
    MF_COMMAND_STOP_TASK, /* stop one task and give it back */
    MF_COMMAND_DRAIN,     /* give all tasks away, and take none */
    MF_COMMAND_UNDRAIN    /* take tasks again */
} mf_command_verb;

typedef struct mf_command {
    mf_command_verb verb;
    const char *task; /* MF_COMMAND_STOP_TASK only, else NULL */
} mf_command;

/* "freeze", ...; NULL when there is no such verb, as behind the last. Static. */
MF_EXPORT const char *mf_command_verb_text(mf_command_verb verb);

/* The command as JSON; the caller frees *out with free(). MF_EINVAL, MF_ENOMEM. */
MF_EXPORT int mf_command_format(char **out, const mf_command *command, mf_error *error);

/* Reads `length` bytes of JSON. Members that are not known are ignored; an absent or null
 * "parameters" is an empty one. The strings in *out are the caller's until mf_command_clear.
 * MF_EINVAL names the member and the rule. */
MF_EXPORT int mf_command_parse(mf_command *out, const char *json, size_t length, mf_error *error);
MF_EXPORT void mf_command_clear(mf_command *command);

#ifdef __cplusplus
}
#endif
#endif
