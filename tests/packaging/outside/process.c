/* A program outside the tree that runs tasks as processes: makes what it needs for it, and frees
 * it.
 */
#include <metafora/metafora.h>
#include <metafora/process.h>

#include <stdio.h>

int main(void)
{
    mf_process_options options = MF_PROCESS_OPTIONS_INIT;
    mf_loop *loop = NULL;
    mf_error error;
    mf_handler handler = mf_process_handler(&options, &error);

    if (handler.version < 0 || mf_loop_new(&loop, &error) != MF_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    handler.free(handler.payload);
    mf_loop_free(loop);
    return 0;
}
