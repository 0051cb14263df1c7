/* The watchers of a broker handle: who they are, and what each has been told of the link. */
#include "net/watchers.h"

#include <stdlib.h>

typedef struct mf_watching {
    struct mf_watching *next;
    mf_watcher *watcher; /* NULL: removed, to be freed when nobody walks */
    enum { TOLD_NOTHING, TOLD_UP, TOLD_DOWN } told;
    bool missed; /* hints */
} mf_watching;

static void sweep(mf_watchers *watchers)
{
    mf_watching **at = &watchers->first;

    while (watchers->walking == 0 && *at != NULL) {
        mf_watching *watching = *at;
        if (watching->watcher != NULL) {
            at = &watching->next;
            continue;
        }
        *at = watching->next;
        free(watching);
    }
}

void mf__watchers_add(mf_watchers *watchers, mf_watcher *watcher)
{
    mf_watching *watching = calloc(1, sizeof *watching);

    if (watching == NULL)
        abort();
    watching->watcher = watcher;
    watching->missed = true;
    watching->next = watchers->first;
    watchers->first = watching;
}

void mf__watchers_remove(mf_watchers *watchers, const mf_watcher *watcher)
{
    for (mf_watching *w = watchers->first; w != NULL; w = w->next)
        if (w->watcher == watcher)
            w->watcher = NULL;
    sweep(watchers);
}

static bool wants_hints(const mf_watching *watching)
{
    return watching->watcher != NULL && watching->watcher->claimable != NULL;
}

bool mf__watchers_want_hints(const mf_watchers *watchers)
{
    const mf_watching *watching = watchers->first;

    while (watching != NULL && !wants_hints(watching))
        watching = watching->next;
    return watching != NULL;
}

void mf__watchers_clear(mf_watchers *watchers)
{
    for (mf_watching *w = watchers->first; w != NULL; w = w->next)
        w->watcher = NULL;
    sweep(watchers);
}

/* The next that is there, and wants hints if `hints`; at the end the walk is over. */
static mf_watching *go_on(mf_walk *walk, bool hints)
{
    while (walk->at != NULL && !(hints ? wants_hints(walk->at) : walk->at->watcher != NULL))
        walk->at = walk->at->next;
    if (walk->at == NULL) {
        walk->watchers->walking--;
        sweep(walk->watchers);
    }
    return walk->at;
}

static mf_watching *begin(mf_walk *walk, mf_watchers *watchers, bool hints)
{
    *walk = (mf_walk){watchers, watchers->first};
    watchers->walking++;
    return go_on(walk, hints);
}

static mf_watching *next(mf_walk *walk, bool hints)
{
    walk->at = walk->at->next;
    return go_on(walk, hints);
}

mf_watcher *mf__walk_begin(mf_walk *walk, mf_watchers *watchers)
{
    const mf_watching *watching = begin(walk, watchers, true);

    return watching != NULL ? watching->watcher : NULL;
}

mf_watcher *mf__walk_next(mf_walk *walk)
{
    const mf_watching *watching = next(walk, true);

    return watching != NULL ? watching->watcher : NULL;
}

void mf__watchers_missed(mf_watchers *watchers)
{
    for (mf_watching *w = watchers->first; w != NULL; w = w->next)
        w->missed = true;
}

static void tell_down(mf_watching *watching, const mf_error *why)
{
    if (watching->told == TOLD_DOWN)
        return;
    watching->told = TOLD_DOWN;
    watching->watcher->link(watching->watcher, false, why);
}

static void tell_up(mf_watching *watching)
{
    if (watching->told != TOLD_UP) {
        watching->told = TOLD_UP;
        watching->missed = true;
        watching->watcher->link(watching->watcher, true, NULL);
    }
    if (wants_hints(watching) && watching->missed) {
        watching->missed = false;
        watching->watcher->resync(watching->watcher);
    }
}

void mf__watchers_tell(mf_watchers *watchers, bool up, const mf_error *why, bool hints,
                       const mf_error *hints_why)
{
    mf_walk walk;

    for (mf_watching *w = begin(&walk, watchers, false); w != NULL; w = next(&walk, false)) {
        if (!up)
            tell_down(w, why);
        else if (hints || !wants_hints(w))
            tell_up(w);
        else if (w->told == TOLD_NOTHING && hints_why != NULL)
            tell_down(w, hints_why);
    }
}
