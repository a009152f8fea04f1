/* format_ops.h -- what a compiled format is made of.
 *
 * Private to format*.c, unpack.c and pack.c.  The parser turns the text into
 * nodes, one per thing written; pack.c runs those.  format_emit.c melts runs of
 * fixed size nodes into single ops; unpack.c runs these.
 */
#ifndef LD_FORMAT_OPS_H
#define LD_FORMAT_OPS_H

#include <stdbool.h>

#include "format.h"

enum { LD_FORMAT_BIG = 0x7fffffff }; /* bound of every count and size */

/* The digits a decimal may have unless its format says otherwise. */
enum { LD_FORMAT_DIGITS = 20 };

#define LD_FORMAT_EXACT                                   \
    (INT64_C(1) << 53) /* beyond it doubles skip integers \
                        */

enum ld_node_kind {
    LD_NODE_INT,      /* SIZE bytes */
    LD_NODE_FLOAT,    /* SIZE bytes, 4 or 8 */
    LD_NODE_BITS,     /* BITS bits from bit BIT of their group */
    LD_NODE_VARINT,   /* by ENC */
    LD_NODE_DECIMAL,  /* digits, then TEXT */
    LD_NODE_BYTES,    /* N bytes, or as many as register REF says */
    LD_NODE_PREFIXED, /* a length by ENC, then the bytes */
    LD_NODE_UNTIL,    /* bytes, then TEXT */
    LD_NODE_LITERAL,  /* TEXT */
    LD_NODE_PAD,      /* N bytes, or as many as register REF says */
    LD_NODE_ALIGN,    /* up to the next multiple of SIZE */
    LD_NODE_REPEAT,   /* N times, or as many as register REF says */
    LD_NODE_IF,       /* by register REF, OPERATOR and OPERAND */
    LD_NODE_END       /* closes the innermost of these two */
};

enum ld_encoding {
    LD_ENC_FIXED,
    LD_ENC_LEB128,
    LD_ENC_ZIGZAG,
    LD_ENC_MQTT,
    LD_ENC_QUIC,
    LD_ENC_DECIMAL
};

enum ld_operator { LD_TEST_TRUE, LD_TEST_EQUAL, LD_TEST_AND };

struct ld_node {
    uint8_t kind;     /* enum ld_node_kind */
    uint8_t enc;      /* enum ld_encoding */
    uint8_t size;     /* bytes of a number or of a length prefix */
    uint8_t result;   /* enum ld_field_kind */
    uint8_t big;      /* big-endian, for bits most significant first */
    uint8_t sign;     /* two's complement */
    uint8_t bits;     /* width of a bit field */
    uint8_t bit;      /* where in its group it starts */
    uint8_t group;    /* bytes of the bit group, on its last field only */
    uint8_t line;     /* one \r before the delimiter belongs to it */
    uint8_t hidden;   /* named "_" */
    uint8_t operator; /* enum ld_operator */
    int8_t save;      /* register that takes the number; -1 when none */
    int8_t ref;       /* register that holds length or condition, or -1 */
    int16_t field;    /* index of its ld_field; -1 when it is none */
    uint32_t n;
    uint32_t max;  /* bytes, digits or iterations */
    uint32_t text; /* where in ld_format.text */
    uint32_t text_len;
    uint32_t match; /* of a group: index of its END, and back */
    int32_t adjust; /* bytes = register + ADJUST */
    int64_t operand;
};

enum ld_op_code {
    LD_OP_DONE,
    LD_OP_FIXED,    /* a run of anything of fixed size */
    LD_OP_PREFIXED, /* integer length, then bytes */
    LD_OP_COUNTED,  /* other length, then bytes */
    LD_OP_NUMBER,   /* varint or decimal */
    LD_OP_BYTES,    /* as many bytes as register REF says */
    LD_OP_UNTIL,
    LD_OP_LITERAL,
    LD_OP_ALIGN,
    LD_OP_REPEAT,
    LD_OP_NEXT, /* end of a repeat's body */
    LD_OP_IF
};

struct ld_op {
    uint8_t code; /* enum ld_op_code */
    uint8_t enc;
    uint8_t size;
    uint8_t big;
    uint8_t sign;
    uint8_t result; /* enum ld_field_kind */
    uint8_t hidden; /* produces no value */
    uint8_t line;
    uint8_t operator;
    int8_t save;
    int8_t ref;
    uint8_t text_len; /* of a delimiter */
    uint16_t field;   /* at fault, if this op is */
    uint16_t gathers; /* how many this run has */
    uint32_t n;       /* bytes of a run or literal, iterations */
    uint32_t max;
    uint32_t rest;        /* least bytes of the frame behind this op */
    uint32_t at;          /* first gather, or place in ld_format.text */
    uint32_t jump;        /* of a group: the op behind it */
    uint32_t body;        /* least bytes of one iteration */
    uint32_t body_values; /* least values of one iteration */
    uint32_t reserve;     /* most values until the next repeat's start */
    int32_t adjust;
    int64_t operand;    /* of a condition */
    uint64_t delimiter; /* as 8 bytes loaded, 0 behind its end */
    uint64_t mask;      /* which of these bytes count */
};

enum ld_gather_kind {
    LD_GATHER_INT,    /* at most 53 bits, unsigned, not saved */
    LD_GATHER_SIGNED, /* at most 53 bits, or saved */
    LD_GATHER_WIDE,   /* may exceed 2^53 */
    LD_GATHER_RAW,    /* a 64-bit result */
    LD_GATHER_FLOAT,
    LD_GATHER_DOUBLE,
    LD_GATHER_BYTES
};

/* One field of a run: load 8 bytes at OFF, swap if BIG, shift, mask, extend. */
struct ld_gather {
    uint64_t mask;
    uint64_t sign;  /* the sign bit, 0 when unsigned */
    uint32_t off;   /* from the start of the run */
    uint32_t len;   /* bytes of the field, for LD_GATHER_BYTES and errors */
    uint16_t field; /* index of its ld_field */
    uint16_t alike; /* how many from here on have this kind */
    uint8_t kind;   /* enum ld_gather_kind */
    uint8_t shift;
    uint8_t big;
    int8_t save;
};

/* Two numbers of a plain format, as format_lanes.c explains. */
struct ld_lanes {
    _Alignas(16) uint8_t shuffle[16];
    uint64_t mask[2];
    double scale[2];
    uint32_t off[2];
    uint64_t partial; /* not whole bytes: mask and scale are needed */
};

struct ld_format {
    struct ld_op *ops;
    struct ld_gather *gathers;
    struct ld_lanes *lanes; /* of a plain format; NULL when it has none */
    struct ld_node *nodes;
    struct ld_field *fields;
    char *text; /* names, literals and delimiters */
    uint32_t node_count;
    uint32_t field_count;
    uint32_t min_size;
    uint32_t plain; /* size of the one run of unsigned numbers that the format
                       is; 0 when it is more than that */
    uint32_t pack_size; /* bytes that packing takes, strings left out, every
                           group counted once */
    uint32_t pack_body; /* the same for the largest repeat */
    bool pack_measure;  /* packed size depends on values, not only on bytes */
    bool pack_quick;    /* whole integers, literals and prefixed bytes alone */
};

/* Fill F->nodes, fields and text.  False with ERR filled on a syntax error or
 * out of memory; F is then as far as it came, for ld_format_free(). */
bool ld_format_parse(struct ld_format *f, const char *src, size_t len,
                     struct ld_format_error *err);

/* Fill F->ops, gathers and sizes from its nodes.  Same result. */
bool ld_format_emit(struct ld_format *f, struct ld_format_error *err);

/* Fill F->lanes if the format and the processor allow it.  False only when out
 * of memory. */
bool ld_format_lanes(struct ld_format *f);

/* The last part of that: the sizes, and what ops know of those behind them. */
bool ld_format_measure(struct ld_format *f, uint32_t op_count,
                       struct ld_format_error *err);

#endif
