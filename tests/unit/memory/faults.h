/* Which of the calls that faulty.h counts fail. */
#ifndef MF_TESTS_FAULTS_H
#define MF_TESTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

/* From now on the `first` call fails, and `count` - 1 after it. */
void faults_arm(size_t first, size_t count);
/* Not any more; whether the story came as far as the fault. */
bool faults_disarm(void);

#endif
