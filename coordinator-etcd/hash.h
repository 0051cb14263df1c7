/* A hash of some bytes, never 0. */
#ifndef MF_ETCD_HASH_H
#define MF_ETCD_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t mf__hash(const void *data, size_t length)
{
    const unsigned char *bytes = data;
    uint64_t value = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        value = (value ^ bytes[i]) * UINT64_C(1099511628211);
    value ^= value >> 29;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 32;
    return value != 0 ? value : 1;
}

#endif
