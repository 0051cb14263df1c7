/* Which of the calls that faulty.h counts fail. */
#include "faults.h"

bool faulty_now(void);

static struct {
    bool armed;
    size_t calls, first, count;
} faults;

bool faulty_now(void)
{
    if (!faults.armed)
        return false;
    size_t call = ++faults.calls;
    return call >= faults.first && call - faults.first < faults.count;
}

void faults_arm(size_t first, size_t count)
{
    faults.armed = true;
    faults.calls = 0;
    faults.first = first;
    faults.count = count;
}

bool faults_disarm(void)
{
    faults.armed = false;
    return faults.calls >= faults.first;
}
