/* names.c -- see names.h.
 *
 * Open addressing with linear probing.  A removed entry leaves no tombstone:
 * those behind it move up.
 */
#include "names.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 /* a power of two */ };

struct entry {
    char *text; /* the name, a zero, the id, a zero; NULL: free */
    uint32_t hash;
    uint8_t name_len, id_len;
};

struct ld_names {
    struct entry *entries;
    uint32_t size, count;
};

static uint32_t hash_of(struct ld_text t)
{
    uint32_t h = 2166136261U;

    for (size_t i = 0; i < t.len; i++)
        h = (h ^ (uint8_t)t.p[i]) * 16777619U;
    return h ^ h >> 15;
}

static struct ld_text name_of(const struct entry *e)
{
    return (struct ld_text){e->text, e->name_len};
}

static struct ld_text id_of(const struct entry *e)
{
    return (struct ld_text){e->text + e->name_len + 1, e->id_len};
}

static int same(struct ld_text a, struct ld_text b)
{
    return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* Where NAME is, or would go. */
static struct entry *seek(const struct ld_names *n, struct ld_text name,
                          uint32_t hash)
{
    uint32_t i = hash & (n->size - 1);

    while (n->entries[i].text &&
           (n->entries[i].hash != hash || !same(name_of(&n->entries[i]), name)))
        i = (i + 1) & (n->size - 1);
    return &n->entries[i];
}

struct ld_names *ld_names_new(void)
{
    struct ld_names *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->size = FIRST_SIZE;
    n->entries = calloc(n->size, sizeof(*n->entries));
    if (n->entries)
        return n;
    free(n);
    return NULL;
}

void ld_names_free(struct ld_names *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->size; i++)
        free(n->entries[i].text);
    free(n->entries);
    free(n);
}

/* At most three quarters are in use. */
static enum ld_status make_room(struct ld_names *n)
{
    struct ld_names bigger = {.size = 2 * n->size};

    if ((n->count + 1) * 4 <= n->size * 3)
        return LD_OK;
    bigger.entries = calloc(bigger.size, sizeof(*bigger.entries));
    if (!bigger.entries)
        return LD_NOMEM;
    for (uint32_t i = 0; i < n->size; i++)
        if (n->entries[i].text)
            *seek(&bigger, name_of(&n->entries[i]), n->entries[i].hash) =
                n->entries[i];
    free(n->entries);
    n->entries = bigger.entries;
    n->size = bigger.size;
    return LD_OK;
}

static char *join(struct ld_text name, struct ld_text id)
{
    char *text = malloc(name.len + id.len + 2);

    if (!text)
        return NULL;
    memcpy(text, name.p, name.len);
    text[name.len] = '\0';
    memcpy(text + name.len + 1, id.p, id.len);
    text[name.len + 1 + id.len] = '\0';
    return text;
}

static int is_wrong(struct ld_text t)
{
    return t.len == 0 || t.len > LD_NAME_MAX;
}

static void tell_holder(const struct entry *e, char *previous)
{
    if (previous)
        memcpy(previous, id_of(e).p, (size_t)e->id_len + 1);
}

enum ld_status ld_names_register(struct ld_names *n, struct ld_text name,
                                 struct ld_text id, int take, char *previous)
{
    uint32_t hash = hash_of(name);
    struct entry *e;
    char *text;

    if (previous)
        *previous = '\0';
    if (is_wrong(name) || is_wrong(id))
        return LD_LIMIT;
    if (make_room(n))
        return LD_NOMEM;
    e = seek(n, name, hash);
    if (e->text) {
        tell_holder(e, previous);
        if (!take && !same(id_of(e), id))
            return LD_BUSY;
    } else if (n->count == LD_NAMES_MAX) {
        return LD_LIMIT;
    }
    text = join(name, id);
    if (!text)
        return LD_NOMEM;
    n->count += !e->text;
    free(e->text);
    *e = (struct entry){text, hash, (uint8_t)name.len, (uint8_t)id.len};
    return LD_OK;
}

/* Empty E, and move up those behind it that could not be where they belong. */
static void erase(struct ld_names *n, struct entry *e)
{
    uint32_t mask = n->size - 1, hole = (uint32_t)(e - n->entries), i = hole;

    free(e->text);
    n->count--;
    for (;;) {
        i = (i + 1) & mask;
        if (!n->entries[i].text)
            break;
        if (((i - n->entries[i].hash) & mask) < ((i - hole) & mask))
            continue;
        n->entries[hole] = n->entries[i];
        hole = i;
    }
    n->entries[hole].text = NULL;
}

int ld_names_release(struct ld_names *n, struct ld_text name, struct ld_text id)
{
    struct entry *e = seek(n, name, hash_of(name));

    if (!e->text || !same(id_of(e), id))
        return 0;
    erase(n, e);
    return 1;
}

const char *ld_names_find(const struct ld_names *n, struct ld_text name)
{
    struct entry *e = seek(n, name, hash_of(name));

    return e->text ? id_of(e).p : NULL;
}

uint32_t ld_names_count(const struct ld_names *n)
{
    return n->count;
}

/* What an erasure moves up is looked at next, as it comes to lie at I; only
 * what wraps around to the end could be missed, so that the run begins behind
 * a free entry. */
void ld_names_drop(struct ld_names *n, const char *prefix, ld_names_fn each,
                   void *ctx)
{
    size_t len = strlen(prefix);
    uint32_t start = 0, mask = n->size - 1;

    while (n->entries[start].text)
        start++;
    for (uint32_t step = 0; step < n->size;) {
        struct entry *e = &n->entries[(start + step) & mask];

        if (!e->text || e->id_len < len || memcmp(id_of(e).p, prefix, len)) {
            step++;
            continue;
        }
        if (each)
            each(ctx, name_of(e), id_of(e));
        erase(n, e);
    }
}

void ld_names_each(const struct ld_names *n, ld_names_fn each, void *ctx)
{
    for (uint32_t i = 0; i < n->size; i++)
        if (n->entries[i].text)
            each(ctx, name_of(&n->entries[i]), id_of(&n->entries[i]));
}
