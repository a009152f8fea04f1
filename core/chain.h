/* chain.h -- a queue of bytes made of segments, some of them shared.
 *
 * Output queues and Lua buffers are chains.  Small bytes are copied into
 * chunks; a blob that is already in memory is added by reference.  The chain
 * owns one reference to the blob of each of its segments.  No I/O here.
 */
#ifndef LD_CHAIN_H
#define LD_CHAIN_H

#include <sys/uio.h>

#include "blob.h"

enum {
    LD_CHAIN_INLINE = 4,
    LD_SHARE_MIN = 4096 /* bytes below this are cheaper to copy than to share */
};

struct ld_segment {
    struct ld_blob *blob;
    uint32_t off, len;
};

struct ld_chain {
    struct ld_segment *segments; /* inlined, or malloced */
    uint32_t head, count, cap;   /* segments [head, head + count) are used */
    uint32_t room;               /* bytes free after the last segment */
    uint32_t grain;              /* least size of the next chunk */
    size_t bytes;
    struct ld_chunks *chunks; /* borrowed */
    struct ld_chain *next;    /* for the keeper of spare chains */
    struct ld_segment inlined[LD_CHAIN_INLINE];
};

void ld_chain_init(struct ld_chain *q, struct ld_chunks *chunks);

/* The same for a chain that may stay small and live long: it starts with GRAIN
 * bytes, and doubles. */
void ld_chain_init_small(struct ld_chain *q, struct ld_chunks *chunks,
                         uint32_t grain);

/* Give back every segment; Q is empty and may be used again. */
void ld_chain_clear(struct ld_chain *q);

/* The same, but keep a chunk at hand if Q alone holds one. */
void ld_chain_reset(struct ld_chain *q);

/* Give back every segment and begin anew, for about as many bytes as there
 * were, LEAST and MOST at the ends.  A blob of at most MOST bytes that Q holds
 * alone, and nothing besides, stays as room. */
void ld_chain_empty(struct ld_chain *q, uint32_t least, uint32_t most);

/* N contiguous bytes of room at the tail, to be filled and then committed;
 * NULL when out of memory. */
uint8_t *ld_chain_reserve_slow(struct ld_chain *q, size_t n);

/* Append a copy of N bytes. */
enum ld_status ld_chain_write(struct ld_chain *q, const void *p, size_t n);

/* Append bytes [off, off + len) of B without copying; takes a reference of
 * its own. */
enum ld_status ld_chain_share(struct ld_chain *q, struct ld_blob *b,
                              uint32_t off, uint32_t len);

/* Append all of FROM's bytes, sharing the larger segments. */
enum ld_status ld_chain_append(struct ld_chain *q, const struct ld_chain *from);

/* Append bytes [off, off + len) of FROM, which must be there. */
enum ld_status ld_chain_append_range(struct ld_chain *q,
                                     const struct ld_chain *from, size_t off,
                                     size_t len);

/* Forget the first N bytes, N <= Q->bytes. */
void ld_chain_consume(struct ld_chain *q, size_t n);

/* Describe the head of the queue in at most MAX vectors; returns how many. */
int ld_chain_iov(const struct ld_chain *q, struct iovec *iov, int max);

/* Copy bytes [off, off + n) to DST; they must be there. */
void ld_chain_copy(const struct ld_chain *q, size_t off, size_t n,
                   uint8_t *dst);

/* Make all of Q one segment, followed by LD_SLACK readable bytes, and return
 * its bytes; NULL when out of memory. */
const uint8_t *ld_chain_flatten(struct ld_chain *q);

static inline uint8_t *ld_chain_tail(struct ld_chain *q)
{
    struct ld_segment *s = &q->segments[q->head + q->count - 1];

    return s->blob->data + s->off + s->len;
}

static inline uint8_t *ld_chain_reserve(struct ld_chain *q, size_t n)
{
    return n <= q->room ? ld_chain_tail(q) : ld_chain_reserve_slow(q, n);
}

/* N bytes of the room last reserved are now part of the queue. */
static inline void ld_chain_commit(struct ld_chain *q, size_t n)
{
    q->segments[q->head + q->count - 1].len += (uint32_t)n;
    q->room -= (uint32_t)n;
    q->bytes += n;
}

#endif
