/* readings.c -- see readings.h. */
#include "readings.h"

#include <stdlib.h>
#include <string.h>

static struct reading **place(struct reading **at, const char *name)
{
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

void readings_put(struct readings *r, struct reading *new)
{
    struct reading **at = place(&r->first, new->name), *old = *at;

    new->next = old ? old->next : NULL;
    *at = new;
    r->count += old == NULL;
    free(old);
}

const struct reading *readings_find(const struct readings *r, const char *name)
{
    const struct reading *at = r->first;

    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    return at;
}

void readings_free(struct readings *r)
{
    while (r->first) {
        struct reading *next = r->first->next;

        free(r->first);
        r->first = next;
    }
}
