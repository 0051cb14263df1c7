/* What a process that was forked, and does not exec, keeps open. */
#include "process/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

/* Above all that they shall become. */
enum { OUT_OF_THE_WAY = 32 };

int mf__descriptors_keep(int *descriptors, int count)
{
    int next = STDERR_FILENO + 1;

    for (int i = 0; i < count; i++) {
        if (descriptors[i] < 0)
            continue;
        descriptors[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
        if (descriptors[i] < 0)
            return -1;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        if (descriptors[i] < 0)
            continue;
        descriptors[i] = dup3(descriptors[i], next++, O_CLOEXEC);
        if (descriptors[i] < 0)
            return -1;
    }
    return close_range((unsigned)next, ~0U, 0);
}
