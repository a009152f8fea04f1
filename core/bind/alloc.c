/* alloc.c -- see alloc.h. */
#include "alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    GRAIN = 16,
    SMALL_MAX = 1024,
    CLASSES = SMALL_MAX / GRAIN + 1,
    SLAB_SIZE = 65536
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
    if (size == 0) {
        if (block)
            put(ud, block, old_size);
        return NULL;
    }
    return block ? resize(ud, block, old_size, size) : get(ud, size);
}
