/* Installed as root's and setuid, it does what sudo does: it becomes root, and whoever has started
 * it cannot kill it any more. Says so in a line on descriptor 9, and with an argument by SIGUSR1 to
 * its parent; then it waits for a minute at most. */
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    (void)argv;
    if (setgid(0) != 0 || setuid(0) != 0)
        return 1;
    if (write(9, "\n", 1) != 1)
        return 2;
    if (argc > 1)
        kill(getppid(), SIGUSR1);
    sleep(60);
    return 0;
}
