/* Descriptors and memory in use, to find what leaks. */
#ifndef MF_TESTS_RESOURCES_H
#define MF_TESTS_RESOURCES_H

#include <stddef.h>

typedef struct resources {
    size_t descriptors;
    size_t bytes; /* in use by malloc; 0 where a sanitizer has replaced it, and looks itself */
} resources;

resources resources_now(void);

/* As many descriptors as before, and at most so many bytes more. */
void resources_assert_same(resources before, size_t more_bytes);

#endif
