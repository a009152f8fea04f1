/* pack.h -- encodes values by a compiled format; the reverse of unpack.h. */
#ifndef LD_PACK_H
#define LD_PACK_H

#include "format.h"
#include "value.h"

enum { LD_PACK_SHARED = 8 };

struct ld_packed {
    size_t size;  /* bytes written at dst, shared ones not counted */
    uint32_t arg; /* after an error: index of the arg at fault */
    uint32_t shared_count;
    struct {
        size_t at;    /* the shared bytes belong before dst[at] */
        uint32_t arg; /* they are this arg's */
    } shared[LD_PACK_SHARED];
};

/* Bytes of room that ld_pack() can need at most for these args. */
size_t ld_pack_bound(const struct ld_format *f, const struct ld_arg *args,
                     uint32_t count);

/* Encode ARGS, one per field in the order of ld_format_fields() (hidden fields
 * and LD_FIELD_END take none; a repeat takes LD_ARG_COUNT and then its
 * iterations' args; a conditional takes LD_ARG_GROUP and then its args, which
 * are skipped when the condition, read from the field it refers to, is false).
 * DST has room for ld_pack_bound() bytes.
 *
 * LD_RANGE     a number does not fit its field, is not an integer, or a length
 *              field contradicts its bytes
 * LD_LIMIT     bytes are longer than the field's maximum, or than its length
 *              prefix can say
 * LD_MISMATCH  an arg is of the wrong kind or missing, a fixed c<n> got other
 *              than n bytes (shorter is zero-filled, as in Lua), or bytes
 *              contain their own delimiter */
enum ld_status ld_pack(const struct ld_format *f, const struct ld_arg *args,
                       uint32_t count, uint8_t *dst, struct ld_packed *out);

#endif
