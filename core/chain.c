/* chain.c -- see chain.h.
 *
 * The invariant behind `room`: it is nonzero only when the last segment ends
 * inside a blob that this chain alone writes to.  A shared segment sets it
 * to zero, so the next write starts a chunk of its own.  Only the last segment
 * can be empty, and only as a chunk that waits to be written to.
 */
#include "chain.h"

#include <stdlib.h>
#include <string.h>

void ld_chain_init(struct ld_chain *q, struct ld_chunks *chunks)
{
    q->segments = q->inlined;
    q->head = q->count = q->room = 0;
    q->cap = LD_CHAIN_INLINE;
    q->grain = LD_CHUNK_SIZE;
    q->bytes = 0;
    q->chunks = chunks;
    q->next = NULL;
}

void ld_chain_init_small(struct ld_chain *q, struct ld_chunks *chunks,
                         uint32_t grain)
{
    ld_chain_init(q, chunks);
    q->grain = grain;
}

void ld_chain_clear(struct ld_chain *q)
{
    for (uint32_t i = 0; i < q->count; i++)
        ld_blob_unref(q->segments[q->head + i].blob);
    if (q->segments != q->inlined)
        free(q->segments);
    ld_chain_init(q, q->chunks);
}

void ld_chain_reset(struct ld_chain *q)
{
    struct ld_segment *s = &q->segments[q->head];

    if (q->count != 1 || s->blob->refs != 1 || !s->blob->chunks ||
        q->segments != q->inlined) {
        ld_chain_clear(q);
        return;
    }
    q->inlined[0] = (struct ld_segment){s->blob, 0, 0};
    q->head = 0;
    q->room = s->blob->size;
    q->bytes = 0;
}

void ld_chain_empty(struct ld_chain *q, uint32_t least, uint32_t most)
{
    struct ld_segment *s = &q->segments[q->head];
    size_t grain = q->bytes < least ? least : q->bytes;

    if (q->count == 1 && q->segments == q->inlined && s->blob->refs == 1 &&
        s->blob->size <= most) {
        q->inlined[0] = (struct ld_segment){s->blob, 0, 0};
        q->head = 0;
        q->room = s->blob->size;
        q->bytes = 0;
        return;
    }
    ld_chain_clear(q);
    q->grain = grain < most ? (uint32_t)grain : most;
}

/* An empty last segment gives its place to the next one. */
static void drop_empty_tail(struct ld_chain *q)
{
    if (q->count == 0 || q->segments[q->head + q->count - 1].len > 0)
        return;
    ld_blob_unref(q->segments[q->head + --q->count].blob);
}

/* Room for one more segment at the end of the array. */
static enum ld_status make_slot(struct ld_chain *q)
{
    struct ld_segment *grown;

    if (q->head + q->count < q->cap)
        return LD_OK;
    if (q->head > q->cap / 2) {
        memmove(q->segments, q->segments + q->head,
                q->count * sizeof(*q->segments));
        q->head = 0;
        return LD_OK;
    }
    grown = malloc(2 * q->cap * sizeof(*grown));
    if (!grown)
        return LD_NOMEM;
    memcpy(grown, q->segments + q->head, q->count * sizeof(*grown));
    if (q->segments != q->inlined)
        free(q->segments);
    q->segments = grown;
    q->head = 0;
    q->cap *= 2;
    return LD_OK;
}

/* Takes over the caller's reference to B, even on failure. */
static enum ld_status push(struct ld_chain *q, struct ld_blob *b, uint32_t off,
                           uint32_t len)
{
    struct ld_segment *s;

    drop_empty_tail(q);
    if (make_slot(q)) {
        ld_blob_unref(b);
        return LD_NOMEM;
    }
    s = &q->segments[q->head + q->count++];
    s->blob = b;
    s->off = off;
    s->len = len;
    q->bytes += len;
    q->room = 0;
    return LD_OK;
}

uint8_t *ld_chain_reserve_slow(struct ld_chain *q, size_t n)
{
    struct ld_blob *b;

    if (n <= LD_CHUNK_SIZE && q->grain == LD_CHUNK_SIZE)
        b = ld_chunk_new(q->chunks);
    else
        b = ld_blob_new(n > q->grain ? n : q->grain);
    if (!b || push(q, b, 0, 0))
        return NULL;
    if (q->grain < LD_CHUNK_SIZE)
        q->grain = 2 * q->grain < LD_CHUNK_SIZE ? 2 * q->grain : LD_CHUNK_SIZE;
    q->room = b->size;
    return b->data;
}

enum ld_status ld_chain_write(struct ld_chain *q, const void *p, size_t n)
{
    size_t first = n < q->room ? n : q->room;
    uint8_t *dst;

    if (n == 0)
        return LD_OK;
    if (first > 0) {
        memcpy(ld_chain_tail(q), p, first);
        ld_chain_commit(q, first);
    }
    if (first == n)
        return LD_OK;
    dst = ld_chain_reserve_slow(q, n - first);
    if (!dst)
        return LD_NOMEM;
    memcpy(dst, (const uint8_t *)p + first, n - first);
    ld_chain_commit(q, n - first);
    return LD_OK;
}

enum ld_status ld_chain_share(struct ld_chain *q, struct ld_blob *b,
                              uint32_t off, uint32_t len)
{
    if (len == 0)
        return LD_OK;
    return push(q, ld_blob_ref(b), off, len);
}

enum ld_status ld_chain_append_range(struct ld_chain *q,
                                     const struct ld_chain *from, size_t off,
                                     size_t len)
{
    enum ld_status st = LD_OK;

    for (uint32_t i = 0; i < from->count && len > 0 && !st; i++) {
        const struct ld_segment *s = &from->segments[from->head + i];
        uint32_t skip = off < s->len ? (uint32_t)off : s->len;
        uint32_t take = s->len - skip < len ? s->len - skip : (uint32_t)len;

        if (take >= LD_SHARE_MIN)
            st = ld_chain_share(q, s->blob, s->off + skip, take);
        else
            st = ld_chain_write(q, s->blob->data + s->off + skip, take);
        off -= skip;
        len -= take;
    }
    return st;
}

enum ld_status ld_chain_append(struct ld_chain *q, const struct ld_chain *from)
{
    return ld_chain_append_range(q, from, 0, from->bytes);
}

void ld_chain_consume(struct ld_chain *q, size_t n)
{
    if (n == q->bytes) {
        ld_chain_clear(q);
        return;
    }
    q->bytes -= n;
    while (n > 0) {
        struct ld_segment *s = &q->segments[q->head];

        if (n < s->len) {
            s->off += (uint32_t)n;
            s->len -= (uint32_t)n;
            return;
        }
        n -= s->len;
        ld_blob_unref(s->blob);
        q->head++;
        q->count--;
    }
}

int ld_chain_iov(const struct ld_chain *q, struct iovec *iov, int max)
{
    int n = q->count < (uint32_t)max ? (int)q->count : max;

    for (int i = 0; i < n; i++) {
        const struct ld_segment *s = &q->segments[q->head + (uint32_t)i];

        iov[i].iov_base = s->blob->data + s->off;
        iov[i].iov_len = s->len;
    }
    return n;
}

void ld_chain_copy(const struct ld_chain *q, size_t off, size_t n, uint8_t *dst)
{
    for (uint32_t i = 0; i < q->count && n > 0; i++) {
        const struct ld_segment *s = &q->segments[q->head + i];
        size_t skip = off < s->len ? off : s->len;
        size_t take = s->len - skip < n ? s->len - skip : n;

        memcpy(dst, s->blob->data + s->off + skip, take);
        dst += take;
        off -= skip;
        n -= take;
    }
}

const uint8_t *ld_chain_flatten(struct ld_chain *q)
{
    struct ld_chunks *chunks = q->chunks;
    struct ld_blob *b;
    size_t size = q->bytes;

    if (q->count == 1)
        return q->segments[q->head].blob->data + q->segments[q->head].off;
    b = ld_blob_new(size);
    if (!b)
        return NULL;
    ld_chain_copy(q, 0, size, b->data);
    ld_chain_clear(q);
    ld_chain_init(q, chunks);
    if (push(q, b, 0, (uint32_t)size))
        return NULL;
    return b->data;
}
