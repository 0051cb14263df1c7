/* describe: the status of the member that is spoken to. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "op.h"
#include "slots.h"

typedef struct describe_op {
    mf_op op; /* first */
    mf_describe_request *request;
} describe_op;

/* NULL: no memory. */
static char *write_status(const Etcd__StatusResponse *status)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (to == NULL)
        return NULL;
    fprintf(to, "version:%s\nleader:%" PRIx64 "\nlearner:%d\n", status->version, status->leader,
            status->is_learner);
    fprintf(to, "db_size:%" PRId64 "\ndb_size_in_use:%" PRId64 "\n", status->db_size,
            status->db_size_in_use);
    for (size_t i = 0; i < status->n_errors; i++)
        fprintf(to, "alarm:%s\n", status->errors[i]);
    return fclose(to) == 0 ? text : NULL;
}

static void on_status(mf_op *op)
{
    mf_describe_request *request = ((describe_op *)op)->request;
    char *text = write_status((const Etcd__StatusResponse *)op->rpc.answer);

    if (text == NULL) {
        mf__op_fail(op, MF_ENOMEM, "etcd: out of memory");
        return;
    }
    size_t size = strlen(text) + 1;
    request->text = memcpy(mf__arena_take(&op->arena, size), text, size);
    free(text);
    mf__op_end(op);
}

void mf__etcd_describe(mf_broker *broker, mf_describe_request *request)
{
    describe_op *me = mf__op_new(broker, &request->request, sizeof *me);

    if (me == NULL)
        return;
    me->request = request;
    Etcd__StatusRequest *status = MF_ARENA_NEW(&me->op.arena, Etcd__StatusRequest, 1);
    etcd__status_request__init(status);
    mf__op_call(&me->op, &mf__method_status, &status->base, on_status);
}
