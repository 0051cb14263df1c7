/* Descriptors and memory in use, to find what leaks. */
#include "resources.h"

#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

resources resources_now(void)
{
    resources now = {.bytes = mallinfo2().uordblks + mallinfo2().hblkhd};
    DIR *descriptors = opendir("/proc/self/fd");

    assert_non_null(descriptors);
    while (readdir(descriptors) != NULL)
        now.descriptors++;
    closedir(descriptors);
    return now;
}

void resources_assert_same(resources before, size_t more_bytes)
{
    resources now = resources_now();

    assert_int_equal(now.descriptors, before.descriptors);
    if (now.bytes > before.bytes + more_bytes)
        fail_msg("%zu bytes more in use", now.bytes - before.bytes);
}
