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

#include <stdbool.h>
#include <stddef.h>

struct ld_alloc; /* opaque; see alloc.c */

/* NULL when out of memory. */
struct ld_alloc *ld_alloc_new(void);

/* After lua_close(). */
void ld_alloc_free(struct ld_alloc *a);

/* Bytes of all blocks that are given out. */
size_t ld_alloc_used(const struct ld_alloc *a);

/* At most BYTES (0: any number) are to be given out between ld_alloc_begin()
 * and ld_alloc_end(), which says whether there were more.  Beyond, there is an
 * eighth more for those who take little in between; for others OVER is called,
 * which is to stop them.  Only at twice as much nothing is given: this LuaJIT
 * may crash when memory runs out within compiled code.  Elsewhere there is no
 * limit. */
void ld_alloc_limit(struct ld_alloc *a, size_t bytes, void (*over)(void));
void ld_alloc_begin(struct ld_alloc *a);
bool ld_alloc_end(struct ld_alloc *a);

/* A lua_Alloc; UD is the allocator. */
void *ld_alloc_block(void *ud, void *block, size_t old_size, size_t size);

#endif
