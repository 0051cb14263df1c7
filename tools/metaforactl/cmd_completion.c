/* metaforactl completion: a script for the shell, made from the commands' own tables. */
#include <stdio.h>
#include <string.h>

#include "commands.h"

static void put_options(const option_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf(" --%s", entries[i].name);
}

/* A case for each command that sets `words` to its options. Bash and zsh read it alike. */
static void put_cases(void)
{
    for (const ctl_command *const *at = ctl_commands; *at != NULL; at++) {
        printf("        %s) words=\"", (*at)->name);
        put_options((*at)->options, (*at)->option_count);
        printf(" $common\" ;;\n");
    }
}

static void put_names(void)
{
    for (const ctl_command *const *at = ctl_commands; *at != NULL; at++)
        printf(" %s", (*at)->name);
}

/* The options before the command's own. */
static void put_common(const ctl_run *ctl)
{
    put_options(ctl->table->entries, ctl->table->count - command_completion.option_count);
    fputs(" --help", stdout);
}

static int bash(const ctl_run *ctl)
{
    fputs("_metaforactl() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local common=\"",
          stdout);
    put_common(ctl);
    fputs("\"\n    local commands=\"", stdout);
    put_names();
    fputs(
        "\"\n    local command= words= i\n"
        "    case $previous in\n"
        "        --file | --password-file) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
        "    esac\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        [[ \" $commands \" != *\" ${COMP_WORDS[i]} \"* ]] || { command=${COMP_WORDS[i]}; "
        "break; }\n"
        "    done\n"
        "    case $command in\n"
        "        '') words=\"$commands $common\" ;;\n",
        stdout);
    put_cases();
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "}\n"
          "complete -F _metaforactl metaforactl\n",
          stdout);
    return CTL_DONE;
}

static int zsh(const ctl_run *ctl)
{
    fputs("autoload -U +X bashcompinit && bashcompinit\n", stdout);
    return bash(ctl);
}

/* Text in single quotes of fish. */
static void put_quoted(const char *text)
{
    putchar('\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void put_fish_options(const char *condition, const option_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("complete -c metaforactl%s -l %s%s -d ", condition, entries[i].name,
               entries[i].kind == OPTION_FLAG            ? ""
               : strstr(entries[i].name, "file") != NULL ? " -rF"
                                                         : " -x");
        put_quoted(entries[i].help);
        putchar('\n');
    }
}

static int fish(const ctl_run *ctl)
{
    char condition[128];

    puts("complete -c metaforactl -f");
    put_fish_options("", ctl->table->entries, ctl->table->count - command_completion.option_count);
    for (const ctl_command *const *at = ctl_commands; *at != NULL; at++) {
        printf("complete -c metaforactl -n __fish_use_subcommand -a %s -d ", (*at)->name);
        put_quoted((*at)->summary);
        putchar('\n');
        snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'", (*at)->name);
        put_fish_options(condition, (*at)->options, (*at)->option_count);
    }
    return CTL_DONE;
}

static int run(ctl_run *ctl, char **operands)
{
    if (strcmp(operands[0], "bash") == 0)
        return bash(ctl);
    if (strcmp(operands[0], "zsh") == 0)
        return zsh(ctl);
    if (strcmp(operands[0], "fish") == 0)
        return fish(ctl);
    return options_complain(ctl->table, "'%s' is not bash, zsh or fish", operands[0]);
}

const ctl_command command_completion = {
    .name = "completion",
    .usage = "bash|zsh|fish",
    .summary = "Prints a script that completes commands and options in this shell.",
    .least = 1,
    .most = 1,
    .offline = true,
    .run = run,
};
