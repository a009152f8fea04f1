/* pack_cursor.h -- where packing stands, and how bytes get to the output.
 * Private to pack.c, pack_number.c and pack_bytes.c.
 */
#ifndef LD_PACK_CURSOR_H
#define LD_PACK_CURSOR_H

#include <string.h>

#include "format_ops.h"
#include "pack.h"

/* An integer of either sign: BITS is its two's complement. */
struct ld_integer {
    uint64_t bits;
    bool minus;
};

struct ld_packer {
    const struct ld_format *f;
    const struct ld_arg *args;
    uint32_t count;
    uint32_t arg; /* next one */
    uint8_t *dst; /* NULL while only measuring */
    uint64_t size;
    uint64_t shared;       /* bytes left out so far */
    uint64_t bits;         /* of the bit group that is open */
    struct ld_packed *out; /* for the places of shared bytes */
    int64_t regs[LD_FORMAT_REGS];
    uint32_t depth;
    struct ld_pack_group {
        uint32_t left; /* iterations to go */
        uint32_t end;  /* of a conditional: the arg behind its own */
    } groups[LD_FORMAT_NESTING];
};

static inline void ld_pack_put(struct ld_packer *pk, const void *src, size_t n)
{
    if (pk->dst && n > 0)
        memcpy(pk->dst + pk->size, src, n);
    pk->size += n;
}

static inline void ld_pack_zeros(struct ld_packer *pk, uint64_t n)
{
    if (pk->dst && n > 0)
        memset(pk->dst + pk->size, 0, n);
    pk->size += n;
}

/* The low SIZE bytes of X.  Writes 8 bytes: the bound leaves room for them. */
static inline void ld_pack_store(struct ld_packer *pk, uint64_t x, bool big,
                                 uint32_t size)
{
    bool swap = big;

    if (big)
        x <<= 64 - 8 * size;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    swap = !swap;
#endif
    if (swap)
        x = __builtin_bswap64(x);
    if (pk->dst)
        memcpy(pk->dst + pk->size, &x, sizeof(x));
    pk->size += size;
}

/* The bytes of a register that holds a length: false when it is negative. */
bool ld_pack_length(const struct ld_packer *pk, const struct ld_node *node,
                    uint64_t *len);

/* One node each, taking its argument unless it is hidden. */
enum ld_status ld_pack_number(struct ld_packer *pk, const struct ld_node *node);
enum ld_status ld_pack_bytes(struct ld_packer *pk, const struct ld_node *node);

/* LEN by the encoding of NODE's prefix.  LD_LIMIT when it cannot say that. */
enum ld_status ld_pack_prefix(struct ld_packer *pk, const struct ld_node *node,
                              uint64_t len);

/* The whole frame, if F allows it (pack_quick) and nothing is unusual: false
 * otherwise, and then DST and OUT hold nothing of use. */
bool ld_pack_quick(const struct ld_format *f, const struct ld_arg *args,
                   uint32_t count, uint8_t *dst, struct ld_packed *out);

/* The value of a number that was left out: what a later argument implies. */
bool ld_pack_infer(const struct ld_packer *pk, const struct ld_node *node,
                   int64_t *value);

#endif
