/* Ctrl-C. */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t came;

/* Ends the wait for a line of stdin, also one that is about to begin. */
static void note(int signal_number)
{
    (void)signal_number;
    came = 1;
    close(STDIN_FILENO);
}

/* Without SA_RESTART. */
void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_came(void)
{
    return came != 0;
}
