/* Processor time, memory and the clock, of this process and of others. */
#ifndef MF_BENCH_CPU_H
#define MF_BENCH_CPU_H

#include <sys/types.h>

/* Seconds on the steady clock; the same in every process of the machine. */
double cpu_now(void);
/* Processor seconds, user and system, that this process has used. */
double cpu_self(void);
/* The same of another process, in steps of 10 ms. 0 when there is no such process. */
double cpu_of(pid_t pid);
/* How often the process was made to give up a processor. 0 when there is no such process. */
double cpu_preemptions(pid_t pid);
/* Resident bytes of this process. */
double cpu_resident(void);
/* Bytes that this process has allocated and not freed. */
double cpu_allocated(void);
/* Gives free memory back to the system, so that cpu_resident shows what is in use. */
void cpu_trim(void);

#endif
