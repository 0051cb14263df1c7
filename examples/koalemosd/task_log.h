/* A task's log file: its command's output, and what the daemon has to say about it. */
#ifndef KOALEMOSD_TASK_LOG_H
#define KOALEMOSD_TASK_LOG_H

/* The path of the task's file, from malloc: <directory>/<id>.log, where bytes of the id that are
 * not letters, digits, '-', '_' or inner dots are written as %XX, and a name that would be too long
 * is cut and ends with a hash of the id. NULL: out of memory. */
char *task_log_path(const char *directory, const char *id);

/* Appends a line with the date, such as "-- 2030-01-31T12:00:00.000Z started". Returns 0, or -1
 * with errno when the file cannot be opened or written. */
int task_log_note(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
