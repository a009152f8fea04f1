/* format.h -- compiles a frame format to a program for unpack.c and pack.c.
 *
 * The language is a superset of Lua 5.4's string.pack.  A compiled format is
 * immutable, owns all its memory, and knows nothing of buffers.
 */
#ifndef LD_FORMAT_H
#define LD_FORMAT_H

#include "ld.h"

enum {
    LD_FORMAT_SOURCE_MAX = 4096, /* bytes of format text */
    LD_FORMAT_SCALARS = 32,      /* numbers outside repeats */
    LD_FORMAT_BYTES = 8,         /* strings and slices outside repeats */
    LD_FORMAT_NESTING = 4,       /* groups inside groups */
    LD_FORMAT_REGS = 8,          /* fields that later fields refer to */
    LD_FORMAT_DELIMITER = 8,     /* bytes in a delimiter */
    LD_FORMAT_VALUES = 4096,     /* values in one frame, repeats included */
};

/* Readable bytes that must follow the end of any input given to ld_unpack();
 * their content does not matter.  It lets a field be read by one 8-byte load.
 */
enum { LD_SLACK = 8 };

/* What one field decodes to, in the order in which values are produced. */
enum ld_field_kind {
    LD_FIELD_NUMBER, /* ld_value.n */
    LD_FIELD_INT64,  /* ld_value.i */
    LD_FIELD_UINT64, /* ld_value.u */
    LD_FIELD_STRING, /* ld_value.s, to become a Lua string */
    LD_FIELD_SLICE,  /* ld_value.s, to become a borrowed slice */
    LD_FIELD_REPEAT, /* opens a group: ld_value.n is the count that follows */
    LD_FIELD_IF, /* opens a group: ld_value.n is 1 (present) or 0 (absent) */
    LD_FIELD_END /* closes the innermost group; produces no value */
};

struct ld_field {
    uint8_t kind;     /* enum ld_field_kind */
    uint8_t hidden;   /* named "_": takes part in packing as zero or "" and
                         produces no value */
    int16_t ref;      /* index of the field that holds this one's length, count
                         or condition; -1 when there is none */
    int32_t adjust;   /* bytes = value of REF + ADJUST, for c@len-4 */
    uint32_t column;  /* where it stands in the source, from 1 */
    const char *name; /* "" when unnamed; owned by the format */
};

struct ld_format_error {
    uint32_t column; /* from 1 */
    char message[120];
};

struct ld_format; /* opaque; see format_ops.h, which only format, unpack and
                     pack include */

/* Compile LEN bytes of SRC (they need no terminator).  Returns NULL and fills
 * ERR on a syntax error or when out of memory.  Free with ld_format_free(). */
struct ld_format *ld_format_compile(const char *src, size_t len,
                                    struct ld_format_error *err);

void ld_format_free(struct ld_format *f); /* NULL is allowed */

/* The fields in order, with LD_FIELD_END closing each group. */
const struct ld_field *ld_format_fields(const struct ld_format *f,
                                        uint32_t *count);

/* How many bytes must be there before the first thing can be decoded; 0 when
 * a frame can be empty. */
uint32_t ld_format_first_need(const struct ld_format *f);

/* The least number of bytes a frame of this format can have. */
uint32_t ld_format_min_size(const struct ld_format *f);

#endif
