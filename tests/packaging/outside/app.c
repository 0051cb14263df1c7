/* A program outside the tree, C and C++ alike: submits a task and finds it again. */
#include <metafora/driver.h>
#include <metafora/metafora.h>

#include <stdio.h>
#include <string.h>

static void found(const mf_error *error, const mf_task_record *tasks, size_t count, bool last,
                  void *arg)
{
    size_t *sum = (size_t *)arg;
    (void)error;
    (void)tasks;
    (void)last;
    *sum += count;
}

static void closed(void *arg)
{
    mf_loop_stop((mf_loop *)arg);
}

static int fail(const mf_error *error)
{
    fprintf(stderr, "%s\n", error->text);
    return 1;
}

/* Opens and closes a handle on `url`, by the driver that this program was linked with. */
static int open_linked(mf_loop *loop, const char *driver, const char *url)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_broker *broker = NULL;
    mf_error error;

    options.name_space = "outside";
    if (mf_broker_open(&broker, url, &options, loop, &error) != 0)
        return fail(&error);
    if (strcmp(broker->driver->name, driver) != 0) {
        fprintf(stderr, "linked with %s\n", broker->driver->name);
        return 1;
    }
    mf_broker_close(broker, closed, loop);
    mf_loop_run(loop);
    return 0;
}

/* Uses the broker inside the process, which is there whatever was linked. */
static int submit_and_list(mf_loop *loop)
{
    mf_broker_options options = MF_BROKER_OPTIONS_INIT;
    mf_task_spec task;
    mf_error error;
    const mf_error *why = NULL;
    mf_broker *broker = NULL;
    mf_client *client = NULL;
    size_t count = 0;

    memset(&task, 0, sizeof(task));
    task.id = "hello";
    task.properties = "{\"greeting\":\"hello\"}";
    options.name_space = "outside";
    if (mf_broker_open(&broker, "embedded://", &options, loop, &error) != 0 ||
        mf_client_open(&client, broker, &error) != 0 ||
        mf_client_submit(client, &task, 1, NULL, NULL, &error) != 0 ||
        mf_client_tasks(client, found, &count, &error) != 0)
        return fail(&error);
    if (mf_client_wait(client, &why) != 0)
        return fail(why);
    mf_client_close(client);
    mf_broker_close(broker, closed, loop);
    mf_loop_run(loop);
    return count == 1 ? 0 : 1;
}

int main(int argc, char **argv)
{
    mf_loop *loop = NULL;
    mf_error error;
    int status = 2;

    if (argc != 3)
        return status;
    if (mf_loop_new(&loop, &error) != 0)
        return fail(&error);
    status = open_linked(loop, argv[1], argv[2]);
    if (status == 0)
        status = submit_and_list(loop);
    mf_loop_free(loop);
    return status;
}
