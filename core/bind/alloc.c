/* alloc.c -- see alloc.h. */
#include "alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    GRAIN = 16,
    SMALL_MAX = 1024,
    CLASSES = SMALL_MAX / GRAIN + 1,
    SLAB_SIZE = 65536,
    LITTLE = 65536 /* bytes that a turn may take beyond the limit */
};

/* A free block, and the head of a slab. */
struct link {
    struct link *next;
};

struct ld_alloc {
    struct link *spare[CLASSES]; /* by size in grains */
    uint8_t *fresh;              /* the unused rest of the newest slab */
    size_t fresh_size;
    struct link *slabs;
    size_t used, limit; /* bytes; no limit: 0 */
    size_t base;        /* used when Lua began to run */
    void (*over)(void);
    bool enforced, exceeded;
};

struct ld_alloc *ld_alloc_new(void)
{
    return calloc(1, sizeof(struct ld_alloc));
}

void ld_alloc_free(struct ld_alloc *a)
{
    while (a && a->slabs) {
        struct link *slab = a->slabs;

        a->slabs = slab->next;
        free(slab);
    }
    free(a);
}

size_t ld_alloc_used(const struct ld_alloc *a)
{
    return a->used;
}

void ld_alloc_limit(struct ld_alloc *a, size_t bytes, void (*over)(void))
{
    a->limit = bytes;
    a->over = over;
}

void ld_alloc_begin(struct ld_alloc *a)
{
    a->base = a->used;
    a->enforced = a->limit > 0;
    a->exceeded = false;
}

bool ld_alloc_end(struct ld_alloc *a)
{
    a->enforced = false;
    return a->exceeded;
}

/* May MORE bytes be given out? */
static bool admits(struct ld_alloc *a, size_t more)
{
    size_t used = a->used + more;

    if (!a->enforced || used <= a->limit ||
        (used <= a->limit + a->limit / 8 && used <= a->base + LITTLE))
        return true;
    if (!a->exceeded)
        a->over();
    a->exceeded = true;
    return used <= 2 * a->limit;
}

static size_t class_of(size_t size)
{
    return (size + GRAIN - 1) / GRAIN;
}

static void put(struct ld_alloc *a, void *block, size_t size)
{
    struct link *l = block;
    size_t class = class_of(size);

    if (size > SMALL_MAX) {
        free(block);
        return;
    }
    l->next = a->spare[class];
    a->spare[class] = l;
}

/* A new slab; what was left of the last one serves smaller requests. */
static int add_slab(struct ld_alloc *a)
{
    struct link *slab = malloc(SLAB_SIZE);

    if (!slab)
        return 0;
    if (a->fresh_size >= GRAIN)
        put(a, a->fresh, a->fresh_size);
    slab->next = a->slabs;
    a->slabs = slab;
    a->fresh = (uint8_t *)slab + GRAIN;
    a->fresh_size = SLAB_SIZE - GRAIN;
    return 1;
}

static void *get(struct ld_alloc *a, size_t size)
{
    size_t class = class_of(size);
    struct link *l;
    void *block;

    if (size > SMALL_MAX)
        return malloc(size);
    l = a->spare[class];
    if (l) {
        a->spare[class] = l->next;
        return l;
    }
    if (a->fresh_size < class * GRAIN && !add_slab(a))
        return NULL;
    block = a->fresh;
    a->fresh += class * GRAIN;
    a->fresh_size -= class * GRAIN;
    return block;
}

static void *resize(struct ld_alloc *a, void *block, size_t old_size,
                    size_t size)
{
    void *moved;

    if (old_size > SMALL_MAX && size > SMALL_MAX)
        return realloc(block, size);
    if (class_of(old_size) == class_of(size) && size <= SMALL_MAX)
        return block;
    moved = get(a, size);
    if (!moved)
        return NULL;
    memcpy(moved, block, old_size < size ? old_size : size);
    put(a, block, old_size);
    return moved;
}

void *ld_alloc_block(void *ud, void *block, size_t old_size, size_t size)
{
    struct ld_alloc *a = ud;
    void *given;

    if (!block)
        old_size = 0; /* else what kind of object it is for */
    if (size == 0) {
        if (block)
            put(a, block, old_size);
        a->used -= old_size;
        return NULL;
    }
    if (size > old_size && !admits(a, size - old_size))
        return NULL;
    given = block ? resize(a, block, old_size, size) : get(a, size);
    if (given)
        a->used += size - old_size;
    return given;
}
