/* Replies as values, by hiredis' reader.
 *
 * Values and their texts lie in an arena that is emptied for the next reply: no allocation for each
 * of them, and nothing to free. */
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    FEED_BYTES = 16 * 1024,
    ITEMS_MAX = 4 << 20, /* an array of more is no answer to anything that we ask */
};

#if HIREDIS_MAJOR >= 1
typedef size_t array_count;
#else
typedef int array_count;
#endif

typedef struct block {
    struct block *next;
    size_t used, size;
    char data[];
} block;

struct mf_reader {
    redisReader *hiredis;
    block *blocks; /* the newest first */
    bool taken;    /* a reply was given out: the arena can be emptied */
};

static void *allocate(mf_reader *reader, size_t size)
{
    block *b = reader->blocks;

    size = (size + 15) & ~(size_t)15;
    if (b == NULL || b->size - b->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        b = malloc(sizeof *b + room);
        if (b == NULL)
            return NULL;
        *b = (block){.next = reader->blocks, .size = room};
        reader->blocks = b;
    }
    void *result = b->data + b->used;
    b->used += size;
    return result;
}

static void empty_arena(mf_reader *reader)
{
    block *keep = NULL;

    while (reader->blocks != NULL) {
        block *b = reader->blocks;
        reader->blocks = b->next;
        if (keep == NULL && b->size == BLOCK_BYTES)
            keep = b;
        else
            free(b);
    }
    if (keep != NULL)
        *keep = (block){.size = keep->size};
    reader->blocks = keep;
}

/* Where hiredis' value belongs: into its array, or it is the reply itself. */
static mf_value *place(const redisReadTask *task)
{
    if (task->parent == NULL)
        return allocate(task->privdata, sizeof(mf_value));
    mf_value *array = task->parent->obj;
    return &array->items[task->idx];
}

static void *create_string(const redisReadTask *task, char *text, size_t length)
{
    mf_value *value = place(task);
    char *copy = allocate(task->privdata, length + 1);

    if (value == NULL || copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *value = (mf_value){.type = task->type == REDIS_REPLY_ERROR    ? MF_VALUE_ERROR
                                : task->type == REDIS_REPLY_STATUS ? MF_VALUE_STATUS
                                                                   : MF_VALUE_STRING,
                        .length = length,
                        .text = copy};
    return value;
}

static void *create_array(const redisReadTask *task, array_count count)
{
    if (count > ITEMS_MAX)
        return NULL;
    mf_value *value = place(task);
    mf_value *items = allocate(task->privdata, (size_t)count * sizeof *items);

    if (value == NULL || items == NULL)
        return NULL;
    *value = (mf_value){.type = MF_VALUE_ARRAY, .length = (size_t)count, .items = items};
    return value;
}

static void *create_integer(const redisReadTask *task, long long integer)
{
    mf_value *value = place(task);

    if (value != NULL)
        *value = (mf_value){.type = MF_VALUE_INTEGER, .integer = integer};
    return value;
}

static void *create_nil(const redisReadTask *task)
{
    mf_value *value = place(task);

    if (value != NULL)
        *value = (mf_value){.type = MF_VALUE_NIL};
    return value;
}

#if HIREDIS_MAJOR >= 1
/* Kinds of RESP3, which is not asked for: a server that sends them is understood all the same. */

static void *create_double(const redisReadTask *task, double number, char *text, size_t length)
{
    (void)number;
    return create_string(task, text, length);
}

static void *create_bool(const redisReadTask *task, int truth)
{
    return create_integer(task, truth != 0);
}
#endif

static void free_nothing(void *object)
{
    (void)object;
}

static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .freeObject = free_nothing,
};

mf_reader *mf__reader_new(void)
{
    mf_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return NULL;
    reader->hiredis = redisReaderCreateWithFunctions(&functions);
    if (reader->hiredis == NULL) {
        free(reader);
        return NULL;
    }
    reader->hiredis->privdata = reader;
    reader->hiredis->maxbuf = 8 * FEED_BYTES;
    return reader;
}

void mf__reader_free(mf_reader *reader)
{
    if (reader == NULL)
        return;
    redisReaderFree(reader->hiredis);
    empty_arena(reader);
    free(reader->blocks);
    free(reader);
}

/* hiredis moves what is left of its buffer after each reply, so it is given little at a time. */
static int feed(mf_reader *reader, struct evbuffer *input)
{
    struct evbuffer_iovec piece;

    if (evbuffer_peek(input, FEED_BYTES, NULL, &piece, 1) < 1)
        return 0;
    size_t length = piece.iov_len < FEED_BYTES ? piece.iov_len : FEED_BYTES;
    if (redisReaderFeed(reader->hiredis, piece.iov_base, length) != REDIS_OK)
        return MF_EPROTO;
    evbuffer_drain(input, length);
    return 1;
}

int mf__reader_next(mf_reader *reader, struct evbuffer *input, mf_value **out)
{
    int fed = 1;

    if (reader->taken)
        empty_arena(reader);
    reader->taken = false;
    while (fed == 1) {
        void *reply = NULL;
        if (redisReaderGetReply(reader->hiredis, &reply) != REDIS_OK)
            return MF_EPROTO;
        if (reply != NULL) {
            reader->taken = true;
            *out = reply;
            return 1;
        }
        fed = feed(reader, input);
    }
    return fed;
}

bool mf__value_number(const mf_value *value, uint64_t *out)
{
    if (value->type == MF_VALUE_INTEGER) {
        *out = (uint64_t)value->integer;
        return value->integer >= 0;
    }
    if (value->type != MF_VALUE_STRING || value->length == 0 || value->length > 19)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < value->length; i++) {
        if (value->text[i] < '0' || value->text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(value->text[i] - '0');
    }
    *out = number;
    return true;
}

bool mf__value_is_array(const mf_value *value, size_t count)
{
    return value->type == MF_VALUE_ARRAY && value->length >= count;
}

bool mf__value_equals(const mf_value *value, const char *text)
{
    return (value->type == MF_VALUE_STRING || value->type == MF_VALUE_STATUS) &&
           strcmp(value->text, text) == 0;
}
