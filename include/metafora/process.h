/* Tasks as child processes: a handler that runs a command for each task, in the library
 * metafora-process.
 *
 * No process outlives its node's claim on the task. A small process, the guard, is the parent of
 * all commands; it kills a command's process group when the lease ends, also while this program is
 * stopped or hangs, and all commands when this program dies. The guard is forked from this program
 * by mf_process_handler, so there is no executable to install or to find. Linux only.
 *
 *     mf_process_options processes = MF_PROCESS_OPTIONS_INIT;
 *     processes.output_directory = "/var/log/tasks";
 *     options.handler = mf_process_handler(&processes, &error);
 */
#ifndef METAFORA_PROCESS_H
#define METAFORA_PROCESS_H

#include <stdint.h>

#include <metafora/consumer.h>
#include <metafora/error.h>
#include <metafora/export.h>
#include <metafora/handler.h>
#include <metafora/state.h>
#include <metafora/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a command ended by itself, and what it used: it and the children that it waited for, as by
 * getrusage. Append only. */
typedef struct mf_process_end {
    int exit_status;       /* 0 to 255; -1: a signal ended it */
    int signal_number;     /* 0: none */
    int64_t run_us;        /* from start to end */
    int64_t user_us;       /* processor time in user mode */
    int64_t system_us;     /* and in the kernel */
    int64_t max_rss_bytes; /* the most memory that one of its processes had resident */
} mf_process_end;

/* The default rule: status 0 is complete, 75 (EX_TEMPFAIL of sysexits.h) is release, any other, and
 * a signal, is an error whose text says which. */
MF_EXPORT mf_message mf_process_exit_message(const mf_process_end *end);

#define MF_PROCESS_OPTIONS_VERSION 1

/* Zero or NULL in a field means its default. All is copied but for what `payload` points to. */
typedef struct mf_process_options {
    int version;

    /* The command of a task: an array of strings that ends with NULL, array and strings from
     * malloc; the first is looked up in PATH. On the loop thread; must not block. NULL, with the
     * error's text set: the task has no command, which is an error of the task; with its code
     * MF_ENOMEM as well the task is given back. Default: the strings in the task's properties,
     * {"args":["sleep","3"]}; properties with a string that would be cut, since it contains \u0000,
     * are refused. */
    char **(*arguments)(const mf_task *task, mf_error *error, void *payload);

    /* Where the output of task ID goes, appended to ID.log with a dated line ("-- ...") at each
     * start and end. Bytes of the id other than letters, digits, '-', '_' and inner dots are
     * written as %XX; a name that would be too long ends in a hash. Default: this program's stderr.
     * The files are written by the commands themselves and by a process of their own, never on the
     * loop thread. A command whose file cannot be opened is not run, and its task is given back. */
    const char *output_directory;

    /* A file to append a line of JSON to for each claim, renewal and end of a task and each start
     * and end of a process. Several programs may share it. Default: none. */
    const char *event_log;

    /* What asks a command to stop, sent to its process group (SIGTERM), and how long after that
     * SIGKILL follows: an eighth of the lease, at most a day. It follows sooner when the lease
     * ends, and at once when the claim is lost. */
    int stop_signal;
    int stop_grace_ms;

    /* What becomes of a task whose command has ended by itself, on the loop thread. Default:
     * mf_process_exit_message. Not asked for a command that was told to stop, which is given back
     * or gets the message that told it, whatever its exit status, nor for one that could not be
     * run or was killed by the guard, which is given back. */
    mf_message (*on_exit)(mf_task *task, const mf_process_end *end, void *payload);

    /* May be NULL. Called once, when the handler is gone, also when making it failed. */
    void (*free)(void *payload);
    void *payload;
} mf_process_options;

#define MF_PROCESS_OPTIONS_INIT                            \
    {                                                      \
        MF_FIRST_FIELD(version) MF_PROCESS_OPTIONS_VERSION \
    }

/* A handler for one consumer. To it, complete is MF_DONE and release is MF_RELEASE; any other
 * message is MF_DONE as well, and logged: there is nowhere to keep an error, and a task given back
 * for it would go round the cluster for ever.
 *
 * The guard is forked here. Call it while the program has one thread: a lock that another thread
 * held would stay locked in the guard for ever. A guard that is killed, or hangs, is found out: its
 * commands are ended, and the consumer fails (MF_CONSUMER_FAILED), since no task can run here any
 * more. The guard takes no part in what the program has open.
 *
 * Commands run in a process group of their own, with no input, no other descriptors and no signal
 * blocked or ignored, and find METAFORA_TASK, METAFORA_FENCE and METAFORA_NODE in the environment.
 * What a command has started dies with it, also what has left its process group, unless that has
 * replaced its environment and lost its parent; then it dies with the guard.
 *
 * A process that has become another user, as under sudo, cannot be killed by a program that is not
 * root's: only it can end itself. The task then goes on, and its lease is renewed, until it does;
 * that is logged as an error, and counted as an overrun if the lease ends first. Where no command
 * needs it, forbid it (NoNewPrivileges=yes in systemd).
 *
 * On failure mf_consumer_open refuses the handler, and the error tells why: MF_EINVAL (an option
 * breaks a rule), MF_ESYSTEM (fork, or the event log), MF_ENOMEM. A handler that is not given to
 * mf_consumer_open must be freed by its own `free`. That waits for the guard's end. */
MF_EXPORT mf_handler mf_process_handler(const mf_process_options *options, mf_error *error);

/* The same for tasks with states: the messages are what the exit rule says, so that an error is
 * kept and tried again later. Messages for a running task end its command, by `stop_signal` and
 * SIGKILL, and take effect when it has ended; run and checkpoint change nothing for it. In `states`
 * run, start and on_message must be NULL; the rest is as for mf_stateful_handler, with its own
 * payload, which is freed also when this fails. */
MF_EXPORT mf_handler mf_process_stateful_handler(const mf_process_options *options,
                                                 const mf_state_options *states, mf_error *error);

/* The file in the directory that has the output of task `id`; the caller frees it. NULL: out of
 * memory. */
MF_EXPORT char *mf_process_output_path(const char *directory, const char *id);

/* A command that runs. Set `version` before the call. */
#define MF_PROCESS_INFO_VERSION 1
typedef struct mf_process_info {
    int version;
    int64_t pid;    /* also its process group */
    int64_t run_us; /* since its start */
    int64_t user_us, system_us;
    int64_t rss_bytes; /* of the process alone, now */
} mf_process_info;
#define MF_PROCESS_INFO_INIT                            \
    {                                                   \
        MF_FIRST_FIELD(version) MF_PROCESS_INFO_VERSION \
    }

/* What the command of a task of this handler uses, as /proc tells. Loop thread only; with
 * mf_task_info.task for the tasks of a consumer. MF_EGONE: none runs at present. */
MF_EXPORT int mf_process_get_info(const mf_task *task, mf_process_info *out);

#ifdef __cplusplus
}
#endif
#endif
