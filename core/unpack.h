/* unpack.h -- runs a compiled format over bytes as they arrive.
 *
 * Sees a pointer and a length, keeps its place in the caller's ld_parse, owns
 * nothing, never blocks, never rescans, and gives the same answer for every
 * split of the input.
 */
#ifndef LD_UNPACK_H
#define LD_UNPACK_H

#include "format.h"
#include "value.h"

struct ld_loop {
    uint32_t pc;   /* first op of the body */
    uint32_t left; /* iterations to go */
};

/* Where a frame stands.  Zero PC, POS, SCAN, COUNT and DEPTH to begin a frame;
 * after LD_AGAIN pass it back unchanged, with the same frame start. */
struct ld_parse {
    uint32_t pc;    /* next op */
    uint32_t pos;   /* bytes of this frame already decoded */
    uint32_t scan;  /* bytes after POS already searched for a delimiter */
    uint32_t need;  /* after LD_AGAIN: frame bytes needed to go on, > avail */
    uint32_t count; /* values produced so far */
    uint32_t depth; /* loops entered */
    uint32_t field; /* after an error: index of the field at fault */
    struct ld_loop loops[LD_FORMAT_NESTING];
    int64_t regs[LD_FORMAT_REGS]; /* fields that later ones refer to */
};

/* Decode as much of one frame as the AVAIL bytes at FRAME allow.  LIMIT bounds
 * the size of the whole frame.  VALUES has room for LD_FORMAT_VALUES, the first
 * P->count of them as the previous call left them.
 *
 * LD_OK        the frame is complete: P->pos is its size, P->count its values
 * LD_AGAIN     P->need says how many bytes of the frame must be there; calling
 *              earlier is allowed and useless
 * LD_LIMIT     the frame, or a field of it, is known to exceed its limit
 * LD_MISMATCH  at frame offset P->pos a literal or digit differs
 * LD_RANGE     a number does not fit 2^53, or a length is negative
 * LD_VARINT    a varint is too long
 * After an error P->pos is the offset of the byte at fault. */
enum ld_status ld_unpack(const struct ld_format *f, struct ld_parse *p,
                         const uint8_t *frame, size_t avail, size_t limit,
                         union ld_value *values);

#endif
