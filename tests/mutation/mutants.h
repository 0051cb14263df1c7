/* All mutants of a file are compiled into it; one of them, or none, is in force in a process.
 *
 * METAFORA_MUTANT      its number
 * METAFORA_REACHED     a file of MF_MUTANTS_MOST bytes: that of each mutant that was reached
 *                      becomes 1
 * METAFORA_CPU_SECONDS how much the process may compute
 * METAFORA_CASE        the one test of a cmocka program to run */
#ifndef MF_MUTANTS_H
#define MF_MUTANTS_H

#include <stdbool.h>
#include <stddef.h>

#define MF_MUTANTS_MOST (1u << 20)
#define MF_MUTANT(n) (mf_mutants_reached[n] = 1, mf_mutant == (n))

extern unsigned mf_mutant;
extern unsigned char *mf_mutants_reached;

#endif
