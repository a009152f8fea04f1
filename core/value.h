/* value.h -- what a frame decodes to, and what it is encoded from.
 *
 * LuaJIT's FFI reads these declarations too: plain C, no macros.
 */
#ifndef LD_VALUE_H
#define LD_VALUE_H

#include <stdint.h>

union ld_value {
    double n;
    int64_t i;
    uint64_t u;
    struct {
        uint32_t off; /* from the start of the frame */
        uint32_t len;
    } s;
};

enum ld_arg_kind {
    LD_ARG_NIL,    /* absent */
    LD_ARG_NUMBER, /* n */
    LD_ARG_INT64,  /* i */
    LD_ARG_UINT64, /* u */
    LD_ARG_BYTES,  /* p, len: copied into the output */
    LD_ARG_SHARED, /* p, len: left out of the output, see ld_packed.shared */
    LD_ARG_COUNT,  /* n: iterations of the repeat that follows */
    LD_ARG_GROUP   /* len: how many args the conditional group has */
};

struct ld_arg {
    uint32_t kind; /* enum ld_arg_kind */
    uint32_t len;
    union {
        double n;
        int64_t i;
        uint64_t u;
        const uint8_t *p;
    };
};

/* What the last read produced; valid until the next one on any connection. */
struct ld_result {
    const uint8_t *frame; /* where the values' offsets count from */
    uint32_t base;        /* the frame's place in its connection's buffer */
    uint32_t view;        /* generation of borrowed slices */
    uint32_t size;        /* bytes of the frame; after an error its offset */
    uint32_t need;        /* after LD_AGAIN: further bytes needed */
    uint32_t field;       /* after an error: index of the field at fault */
    int status;           /* of the wait that ended last */
    double source;        /* handle of the connection it was for; 0: woken */
    union ld_value values[4096]; /* LD_FORMAT_VALUES */
};

#endif
