/* Which mutant is in force, and which were reached: see mutants.h. */
#include "mutants.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static unsigned char unread[MF_MUTANTS_MOST];

unsigned mf_mutant;
unsigned char *mf_mutants_reached = unread;

extern void cmocka_set_test_filter(const char *pattern) __attribute__((weak));

/* A map survives whatever end the process comes to, and holds what its children reach. */
static void share(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    void *map = MAP_FAILED;

    if (file >= 0)
        map = mmap(NULL, MF_MUTANTS_MOST, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        abort();
    mf_mutants_reached = map;
    close(file);
}

static void limit_cpu(const char *seconds)
{
    rlim_t limit = strtoul(seconds, NULL, 10);

    setrlimit(RLIMIT_CPU, &(struct rlimit){limit, limit});
}

/* Before other constructors, since they may have mutants too. */
__attribute__((constructor(101))) static void start(void)
{
    const char *mutant = getenv("METAFORA_MUTANT");
    const char *reached = getenv("METAFORA_REACHED");
    const char *seconds = getenv("METAFORA_CPU_SECONDS");
    const char *only = getenv("METAFORA_CASE");

    if (mutant != NULL)
        mf_mutant = (unsigned)strtoul(mutant, NULL, 10);
    if (reached != NULL)
        share(reached);
    if (seconds != NULL)
        limit_cpu(seconds);
    if (only != NULL && cmocka_set_test_filter != NULL)
        cmocka_set_test_filter(only);
}
