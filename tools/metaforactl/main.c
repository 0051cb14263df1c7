/* metaforactl: looks at and changes any namespace on any broker. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

const ctl_command *const ctl_commands[] = {
    &command_tasks,   &command_task,       &command_states,
    &command_explain, &command_nodes,      &command_node,
    &command_submit,  &command_remove,     &command_erase,
    &command_revive,  &command_tell,       &command_command,
    &command_watch,   &command_export,     &command_import,
    &command_doctor,  &command_completion, NULL,
};

enum { COMMON_OPTIONS = 5, MOST_OPTIONS = 32 };

/* The options that every command has; they may stand before its name, too. */
static void put_common(option_entry *out, ctl_run *ctl)
{
    const option_entry common[COMMON_OPTIONS] = {
        {"broker", OPTION_TEXT, "URL", &ctl->url, 0, 0,
         "the broker, such as redis://localhost or etcd://localhost ($METAFORA_BROKER)"},
        {"namespace", OPTION_TEXT, "NS", &ctl->name_space, 0, 0,
         "the namespace in the broker ($METAFORA_NAMESPACE)"},
        {"password-file", OPTION_TEXT, "FILE", &ctl->password_file, 0, 0,
         "its first line is the broker's password ($METAFORA_PASSWORD)"},
        {"json", OPTION_FLAG, NULL, &ctl->json, 0, 0, "a JSON object a line, for programs"},
        {"log", OPTION_LEVEL, "LEVEL", &ctl->log, 0, 0, "debug, info, warn, error or none (error)"},
    };
    memcpy(out, common, sizeof common);
}

static void print_commands(void)
{
    fputs("\ncommands, each with a --help of its own:\n", stdout);
    for (const ctl_command *const *at = ctl_commands; *at != NULL; at++)
        printf("  %-24s %s\n", (*at)->name, (*at)->summary);
}

static const ctl_command *find_command(const char *name)
{
    for (const ctl_command *const *at = ctl_commands; *at != NULL; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

static int run_command(ctl_run *ctl, const ctl_command *command, char **operands, size_t count)
{
    if (count < command->least)
        return options_complain(ctl->table, "an operand is missing: %s", command->usage);
    if (count > command->most)
        return options_complain(ctl->table, "'%s' is too much: %s", operands[command->most],
                                command->usage);
    if (command->offline)
        return command->run(ctl, operands);
    if (ctl->name_space == NULL)
        ctl->name_space = getenv("METAFORA_NAMESPACE");
    if (ctl->name_space == NULL)
        return options_complain(ctl->table, "--namespace: missing, and so is $METAFORA_NAMESPACE");
    int status = ctl_open(ctl);
    if (status == CTL_DONE)
        status = command->run(ctl, operands);
    ctl_close(ctl);
    return status;
}

/* What was printed must have arrived. */
static int flush(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("metaforactl: stdout");
    return ctl_worse(status, CTL_FAILED);
}

/* The options of the command, its operands, and what it does with them. */
static int parse_and_run(ctl_run *ctl, const ctl_command *command, option_entry *entries, int argc,
                         char **argv)
{
    char program[64];
    int status = 0;

    snprintf(program, sizeof program, "metaforactl %s", command->name);
    if (command->option_count > 0)
        memcpy(entries + COMMON_OPTIONS, command->options, command->option_count * sizeof *entries);
    const option_table table = {.program = program,
                                .usage = command->usage,
                                .summary = command->summary,
                                .entries = entries,
                                .count = COMMON_OPTIONS + command->option_count,
                                .permute = true};
    ctl->table = &table;
    int first = options_parse(&table, argc, argv, &status);
    if (first < 0)
        return status;
    return flush(run_command(ctl, command, argv + first, (size_t)(argc - first)));
}

int main(int argc, char **argv)
{
    ctl_run ctl = {.log = MF_LOG_ERROR, .argv = argv};
    option_entry entries[MOST_OPTIONS];
    int status = 0;

    setlocale(LC_CTYPE, "C.UTF-8"); /* the width of characters */
    put_common(entries, &ctl);
    const option_table table = {.program = "metaforactl",
                                .usage = "[options] COMMAND [options] [operand...]",
                                .summary = "Looks at and changes the tasks of any namespace on any "
                                           "broker.",
                                .entries = entries,
                                .count = COMMON_OPTIONS,
                                .print_more = print_commands};
    int first = options_parse(&table, argc, argv, &status);
    if (first < 0)
        return status;
    if (first == argc)
        return options_complain(&table, "a command is missing");
    const ctl_command *command = find_command(argv[first]);
    if (command == NULL)
        return options_complain(&table, "'%s' is not a command", argv[first]);

    char **words = calloc((size_t)argc + 1, sizeof *words);
    if (words == NULL)
        return CTL_FAILED;
    memcpy(words, argv, (size_t)argc * sizeof *words);
    status = parse_and_run(&ctl, command, entries, argc - first, words + first);
    free(words);
    return status;
}
