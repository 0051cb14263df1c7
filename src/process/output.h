/* A task's output: the notes in it. Its path is public: mf_process_output_path. */
#ifndef MF_PROCESS_OUTPUT_H
#define MF_PROCESS_OUTPUT_H

#include <stddef.h>

enum { MF_NOTE_SIZE = 2048 };

/* Writes a line with the date, such as "-- 2030-01-31T12:00:00.000Z started", its line end and a
 * NUL. Control characters become blanks; what is too long is cut. Returns its length. */
size_t mf__output_note(char line[MF_NOTE_SIZE], const char *text);

#endif
