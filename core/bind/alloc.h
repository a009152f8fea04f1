/* alloc.h -- the allocator of the gateway's Lua states.
 *
 * A handler that makes strings allocates and frees objects of a few small
 * sizes, millions of times a second.  Each size has a list of free blocks
 * here: the block freed last, still in the cache, is the next one given out.
 * Larger blocks come from malloc().  Blocks of small sizes are kept for reuse
 * until the allocator is freed.
 */
#ifndef LD_ALLOC_H
#define LD_ALLOC_H

#include <stddef.h>

struct ld_alloc; /* opaque; see alloc.c */

/* NULL when out of memory. */
struct ld_alloc *ld_alloc_new(void);

/* After lua_close(). */
void ld_alloc_free(struct ld_alloc *a);

/* A lua_Alloc; UD is the allocator. */
void *ld_alloc_block(void *ud, void *block, size_t old_size, size_t size);

#endif
