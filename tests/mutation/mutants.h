/* All mutants of a file are compiled into it; one of them, or none, is in force in a process.
 *
 * A program that finds METAFORA_MUTANTS in its environment does not begin at once. That is the
 * number of a socket, on which it hears of runs, as in server.py; each goes on in a child, which
 * need not be loaded and linked again. */
#ifndef MF_MUTANTS_H
#define MF_MUTANTS_H

#include <stdbool.h>
#include <stddef.h>

#define MF_MUTANTS_MOST (1u << 20)
#define MF_MUTANT(n) (mf_mutants_reached[n] = 1, mf_mutant == (n))

extern unsigned mf_mutant;
extern unsigned char *mf_mutants_reached;

#endif
