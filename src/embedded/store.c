/* Stores of the embedded broker: registry, namespaces, requests under the lock,
 * hints. */
#include "embedded/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A handle whose loop does not run is told to resync instead of remembering
 * more ids than this. */
static const size_t max_waiting_ids = 200000;

/* One namespace and the handles on it. */
struct mf_domain {
    mf__embedded_store *store;
    mf_space space;
    mf_listener *listeners;
    mf_domain *next;
    char name[];
};

struct mf__embedded_store {
    pthread_mutex_t lock;
    int64_t (*clock)(void *arg);
    void *arg;
    int64_t fence_offset_us;
    mf_domain *domains;
    unsigned references; /* this, name and next: guarded by registry_lock */
    char *name;          /* NULL: no URL leads here */
    mf__embedded_store *next;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static mf__embedded_store *registry;

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The clock of the loops. */
static int64_t steady_clock(void *arg)
{
    (void)arg;
    return read_clock(CLOCK_BOOTTIME);
}

mf__embedded_store *mf__embedded_store_new(int64_t (*clock)(void *arg), void *arg)
{
    mf__embedded_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    pthread_mutex_init(&store->lock, NULL);
    store->clock = clock;
    store->arg = arg;
    store->references = 1;
    return store;
}

static mf__embedded_store *find_named(const char *name)
{
    mf__embedded_store *store = registry;
    while (store != NULL && strcmp(store->name, name) != 0)
        store = store->next;
    if (store != NULL)
        store->references++;
    return store;
}

static mf__embedded_store *add_named(const char *name)
{
    mf__embedded_store *store = mf__embedded_store_new(steady_clock, NULL);
    if (store == NULL)
        return NULL;
    store->name = strdup(name);
    if (store->name == NULL) {
        free(store);
        return NULL;
    }
    /* Fences must also be above those of a former run of the program. */
    store->fence_offset_us = read_clock(CLOCK_REALTIME) - steady_clock(NULL);
    store->next = registry;
    registry = store;
    return store;
}

mf__embedded_store *mf__store_named(const char *name)
{
    pthread_mutex_lock(&registry_lock);
    mf__embedded_store *store = find_named(name);
    if (store == NULL)
        store = add_named(name);
    pthread_mutex_unlock(&registry_lock);
    return store;
}

void mf__store_retain(mf__embedded_store *store)
{
    pthread_mutex_lock(&registry_lock);
    store->references++;
    pthread_mutex_unlock(&registry_lock);
}

static void free_store(mf__embedded_store *store)
{
    while (store->domains != NULL) {
        mf_domain *domain = store->domains;
        store->domains = domain->next;
        mf__space_clear(&domain->space);
        free(domain);
    }
    pthread_mutex_destroy(&store->lock);
    free(store->name);
    free(store);
}

void mf__embedded_store_release(mf__embedded_store *store)
{
    pthread_mutex_lock(&registry_lock);
    bool last = --store->references == 0;
    mf__embedded_store **link = &registry;
    while (last && *link != NULL && *link != store)
        link = &(*link)->next;
    if (last && *link != NULL)
        *link = store->next;
    pthread_mutex_unlock(&registry_lock);
    if (last)
        free_store(store);
}

/* Namespaces and handles. */

static mf_domain *find_domain(mf__embedded_store *store, const char *name)
{
    mf_domain *domain = store->domains;
    while (domain != NULL && strcmp(domain->name, name) != 0)
        domain = domain->next;
    if (domain != NULL)
        return domain;

    domain = calloc(1, sizeof *domain + strlen(name) + 1);
    if (domain == NULL)
        return NULL;
    strcpy(domain->name, name);
    domain->store = store;
    mf__space_init(&domain->space, store->fence_offset_us);
    domain->next = store->domains;
    store->domains = domain;
    return domain;
}

mf_domain *mf__store_attach(mf__embedded_store *store, const char *name_space, int max_crashes,
                            mf_listener *listener)
{
    pthread_mutex_lock(&store->lock);
    mf_domain *domain = find_domain(store, name_space);
    if (domain != NULL) {
        listener->alarm_us = INT64_MAX;
        domain->space.max_crashes = max_crashes;
        listener->next = domain->listeners;
        if (listener->next != NULL)
            listener->next->previous = listener;
        domain->listeners = listener;
    }
    pthread_mutex_unlock(&store->lock);
    return domain;
}

static void drop_hints(mf_listener *listener)
{
    for (size_t i = 0; i < listener->hint_count; i++)
        mf__hint_release(listener->hints[i]);
    free(listener->hints);
    listener->hints = NULL;
    listener->hint_count = listener->hint_size = listener->id_count = 0;
}

bool mf__store_detach(mf_domain *domain, mf_listener *listener)
{
    pthread_mutex_lock(&domain->store->lock);
    if (listener->previous != NULL)
        listener->previous->next = listener->next;
    else
        domain->listeners = listener->next;
    if (listener->next != NULL)
        listener->next->previous = listener->previous;
    drop_hints(listener);
    bool posted = listener->posted;
    pthread_mutex_unlock(&domain->store->lock);
    return posted;
}

void mf__store_watch(mf_domain *domain, mf_listener *listener, bool watching)
{
    pthread_mutex_lock(&domain->store->lock);
    listener->watching = watching;
    pthread_mutex_unlock(&domain->store->lock);
}

void mf__embedded_change(mf__embedded_store *store, const char *name_space,
                         void (*change)(mf_space *space, void *arg), void *arg)
{
    pthread_mutex_lock(&store->lock);
    mf_domain *domain = find_domain(store, name_space);
    if (domain != NULL)
        change(&domain->space, arg);
    pthread_mutex_unlock(&store->lock);
}

/* Hints. */

void mf__hint_release(mf_hint *hint)
{
    if (atomic_fetch_sub(&hint->references, 1) != 1)
        return;
    free(hint->text);
    free(hint);
}

/* Makes a hint of the news so far, and takes its text. */
static mf_hint *make_hint(mf_news_kind kind, mf_id_list *news, const char *cause)
{
    mf_hint *hint = malloc(sizeof *hint + news->count * sizeof hint->ids[0]);
    if (hint == NULL)
        return NULL;
    atomic_init(&hint->references, 1);
    hint->kind = kind;
    strcpy(hint->cause, cause);
    hint->count = news->count;
    hint->text = news->ids;
    const char *id = hint->text;
    for (size_t i = 0; i < hint->count; i++, id += strlen(id) + 1)
        hint->ids[i] = id;
    *news = (mf_id_list){0};
    return hint;
}

/* A post that fails leaves what has come to the next one. */
static void notify(mf_listener *listener)
{
    if (!listener->posted)
        listener->posted = mf_loop_post(listener->loop, listener->notify, listener->arg) == MF_OK;
}

static void miss(mf_listener *listener)
{
    drop_hints(listener);
    listener->missed = true;
}

static bool grow_hints(mf_listener *listener)
{
    if (listener->hint_count < listener->hint_size)
        return true;
    size_t size = listener->hint_size * 2 + 16;
    mf_hint **hints = realloc(listener->hints, size * sizeof *hints);
    if (hints == NULL)
        return false;
    listener->hints = hints;
    listener->hint_size = size;
    return true;
}

static void deliver(mf_listener *listener, mf_hint *hint)
{
    if (hint == NULL || listener->id_count > max_waiting_ids || !grow_hints(listener)) {
        miss(listener);
    } else {
        atomic_fetch_add(&hint->references, 1);
        listener->hints[listener->hint_count++] = hint;
        listener->id_count += hint->count;
    }
    notify(listener);
}

static void deliver_to_all(mf_domain *domain, mf_hint *hint)
{
    for (mf_listener *l = domain->listeners; l != NULL; l = l->next)
        if (l->watching)
            deliver(l, hint);
    if (hint != NULL)
        mf__hint_release(hint);
}

/* Sends the news since the last time on their way. */
static void publish(mf_domain *domain, const char *cause)
{
    mf_space *space = &domain->space;

    mf__space_announce_nodes(space);
    for (int kind = 0; kind < MF_NEWS_KINDS; kind++)
        if (space->news[kind].count != 0)
            deliver_to_all(domain, make_hint((mf_news_kind)kind, &space->news[kind], cause));
    if (space->news_lost)
        deliver_to_all(domain, NULL);
    space->news_lost = false;
    for (int kind = 0; kind < MF_NEWS_KINDS; kind++)
        space->news[kind].length = space->news[kind].count = 0;
}

bool mf__store_collect(mf_domain *domain, mf_listener *listener, mf_hint ***hints, size_t *count)
{
    pthread_mutex_lock(&domain->store->lock);
    bool missed = listener->missed;
    *hints = listener->hints;
    *count = listener->hint_count;
    listener->posted = listener->missed = false;
    listener->hints = NULL;
    listener->hint_count = listener->hint_size = listener->id_count = 0;
    pthread_mutex_unlock(&domain->store->lock);
    return missed;
}

/* Requests. */

static int carry_out(mf_space *space, mf_request *request, int64_t now_us)
{
    void *any = request; /* each request begins with its head */
    switch ((mf_operation)request->tag) {
    case MF_JOIN:
        return mf__space_join(space, any, now_us);
    case MF_LEAVE:
        return mf__space_leave(space, any, now_us);
    case MF_RENEW:
        return mf__space_renew(space, any, now_us);
    case MF_CLAIM:
        return mf__space_claim(space, any, now_us);
    case MF_GIVE_BACK:
        return mf__space_release(space, any);
    case MF_FINISH:
        return mf__space_done(space, any);
    case MF_LIST_CLAIMABLE:
        return mf__space_list_claimable(space, any);
    case MF_RECEIVE:
        return mf__space_receive(space, any, now_us);
    case MF_SUBMIT:
        return mf__space_submit(space, any, now_us);
    case MF_REMOVE:
        return mf__space_remove(space, any, now_us);
    case MF_LIST_TASKS:
        return mf__space_list_tasks(space, any);
    case MF_LOOKUP:
        return mf__space_lookup(space, any);
    case MF_LIST_NODES:
        return mf__space_nodes(space, any);
    case MF_SEND:
        return mf__space_send(space, any, now_us);
    case MF_LOAD:
        return mf__space_load(space, any);
    case MF_STORE:
        return mf__space_store(space, any);
    case MF_MAIL:
        return mf__space_mail(space, any);
    case MF_TELL:
        return mf__space_tell(space, any, now_us);
    case MF_FORGET:
        return mf__space_forget(space, any, now_us);
    case MF_LIST_STATES:
        return mf__space_list_states(space, any);
    case MF_LIST_HELD:
        return mf__space_list_held(space, any);
    case MF_TAKE_HOLDS:
        return mf__space_take_holds(space, any, now_us);
    case MF_COPY:
        return mf__space_copy(space, any, now_us);
    case MF_DROP_HELD:
        return mf__space_drop_held(space, any);
    case MF_FREE_HOLDS:
        return mf__space_free_holds(space, any, now_us);
    case MF_LIST_HOLDS:
        return mf__space_list_holds(space, any);
    case MF_SET_MARK:
        return mf__space_mark(space, any);
    case MF_READ_MARK:
        return mf__space_moved(space, any);
    }
    return MF_ENOTSUP;
}

static const char *cause_of(const mf_request *request)
{
    if (request->tag != MF_CLAIM && request->tag != MF_GIVE_BACK && request->tag != MF_FINISH)
        return "";
    return ((const mf_claims_request *)(const void *)request)->session->token;
}

/* Every handle has an alarm at `due_us` or sooner, so that no expiry goes
 * unnoticed, whichever of the handles is closed or held up. */
static void advance_alarms(mf_domain *domain, const mf_listener *but)
{
    for (mf_listener *l = domain->listeners; l != NULL; l = l->next)
        if (l != but && domain->space.due_us < l->alarm_us)
            notify(l);
}

bool mf__store_apply(mf_domain *domain, mf_listener *listener, mf_request *request)
{
    mf__embedded_store *store = domain->store;
    mf_space *space = &domain->space;

    pthread_mutex_lock(&store->lock);
    int64_t now_us = store->clock(store->arg);
    mf__space_reap(space, now_us);
    publish(domain, "");
    int64_t due_us = space->due_us;
    carry_out(space, request, now_us);
    publish(domain, cause_of(request));
    if (space->due_us < due_us)
        advance_alarms(domain, listener);
    bool tend = space->due_us < listener->alarm_us;
    pthread_mutex_unlock(&store->lock);
    return tend;
}

int64_t mf__store_tend(mf_domain *domain, mf_listener *listener)
{
    mf__embedded_store *store = domain->store;

    pthread_mutex_lock(&store->lock);
    int64_t now_us = store->clock(store->arg);
    mf__space_reap(&domain->space, now_us);
    publish(domain, "");
    int64_t due_us = listener->alarm_us = domain->space.due_us;
    pthread_mutex_unlock(&store->lock);
    return due_us == INT64_MAX ? INT64_MAX : due_us - now_us;
}
