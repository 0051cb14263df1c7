/* The smallest useful program: every task of the namespace "hello" says its name each second. */
#include <metafora/metafora.h>
#include <stdio.h>

static mf_outcome tick(mf_task *task, void *payload)
{
    (void)payload;
    while (!mf_task_wait_stop(task, 1000)) {
        printf("%s, fence %llu\n", mf_task_id(task), (unsigned long long)mf_task_fence(task));
        fflush(stdout);
    }
    return MF_RELEASE; /* another node goes on with it; MF_DONE would end it for good */
}

int main(int argc, char **argv)
{
    mf_consumer_options options = MF_CONSUMER_OPTIONS_INIT;
    options.broker = argc > 1 ? argv[1] : NULL; /* NULL: the linked driver's default URL */
    options.name_space = "hello";
    options.handler = mf_blocking_handler(tick, NULL);
    options.balancer = mf_balancer_fair(1.2);
    return mf_main(&options); /* runs until SIGINT or SIGTERM, then drains */
}
