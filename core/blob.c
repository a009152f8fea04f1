/* blob.c -- see blob.h. */
#include "blob.h"

#include <stdlib.h>

#include "format.h"

enum { SPARE_MAX = 64 };

struct ld_blob *ld_blob_new(size_t size)
{
    struct ld_blob *b;

    if (size > INT32_MAX)
        return NULL;
    b = malloc(sizeof(*b) + size + LD_SLACK);
    if (!b)
        return NULL;
    b->refs = 1;
    b->size = (uint32_t)size;
    b->chunks = NULL;
    return b;
}

struct ld_blob *ld_chunk_new(struct ld_chunks *chunks)
{
    struct ld_blob *b;

    if (chunks->count > 0) {
        b = chunks->spare[--chunks->count];
        b->refs = 1;
        return b;
    }
    b = ld_blob_new(LD_CHUNK_SIZE);
    if (b)
        b->chunks = chunks;
    return b;
}

void ld_blob_destroy(struct ld_blob *b)
{
    struct ld_chunks *chunks = b->chunks;

    if (chunks && chunks->count < SPARE_MAX)
        chunks->spare[chunks->count++] = b;
    else
        free(b);
}

void ld_chunks_free(struct ld_chunks *chunks)
{
    while (chunks->count > 0)
        free(chunks->spare[--chunks->count]);
}
