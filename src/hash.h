/* Hashes that are the same on every node, in every process. */
#ifndef MF_HASH_H
#define MF_HASH_H

#include <stdint.h>

uint64_t mf__hash_text(const char *text);
/* Another hash of a hash: each bit depends on each. */
uint64_t mf__hash_mix(uint64_t hash);

#endif
