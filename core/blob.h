/* blob.h -- reference-counted bytes, and a store of equal chunks to reuse.
 *
 * A blob's memory never moves while it lives.  It ends LD_SLACK bytes after
 * SIZE, so that any prefix of it may be given to ld_unpack().
 */
#ifndef LD_BLOB_H
#define LD_BLOB_H

#include "ld.h"

struct ld_chunks; /* below */

struct ld_blob {
    uint32_t refs;
    uint32_t size;            /* bytes at data */
    struct ld_chunks *chunks; /* where it returns to; NULL: to malloc */
    uint8_t data[];
};

/* Chunks kept for reuse.  Zero it to start; blobs taken from it must be gone
 * before it is freed. */
struct ld_chunks {
    struct ld_blob *spare[64];
    uint32_t count;
};

enum { LD_CHUNK_SIZE = 16384 - 64 };

/* A blob of SIZE bytes, content undefined, owned by the caller (one
 * reference).  NULL when out of memory or SIZE is over 2^31. */
struct ld_blob *ld_blob_new(size_t size);

/* A blob of LD_CHUNK_SIZE bytes out of CHUNKS.  NULL when out of memory. */
struct ld_blob *ld_chunk_new(struct ld_chunks *chunks);

void ld_chunks_free(struct ld_chunks *chunks);

void ld_blob_destroy(struct ld_blob *b); /* for ld_blob_unref() only */

static inline struct ld_blob *ld_blob_ref(struct ld_blob *b)
{
    b->refs++;
    return b;
}

static inline void ld_blob_unref(struct ld_blob *b) /* NULL is allowed */
{
    if (b && --b->refs == 0)
        ld_blob_destroy(b);
}

#endif
