/* format_parser.h -- the state of one run of the format parser, and the words
 * its three files share: format_lex.c reads tokens, format_option.c one option,
 * format_parse.c names, groups and the text as a whole.
 */
#ifndef LD_FORMAT_PARSER_H
#define LD_FORMAT_PARSER_H

#include "format_ops.h"

enum ld_order { LD_ORDER_NONE, LD_ORDER_LITTLE, LD_ORDER_BIG };

struct ld_parser {
    struct ld_format *f;
    struct ld_format_error *err;
    const char *src;
    uint32_t len;
    uint32_t at; /* next byte of SRC */
    uint32_t node_room;
    uint32_t field_room;
    uint32_t text_len;
    uint32_t item;    /* where the current item, and its name, starts */
    uint32_t option;  /* where its option starts, behind the name */
    const char *name; /* of the current item; "" when it has none */
    bool hidden;      /* that name is "_" */
    uint8_t order;    /* enum ld_order */
    uint8_t max_align;
    uint32_t bits;    /* of a bit group that is not yet whole bytes */
    uint32_t bits_at; /* where that group starts */
    uint32_t depth;   /* groups open */
    uint32_t repeats; /* of which are repeats */
    uint32_t groups;  /* seen so far: the next one's serial number */
    uint32_t serial[LD_FORMAT_NESTING + 1]; /* of those open; 0: the top */
    uint32_t opened[LD_FORMAT_NESTING + 1]; /* index of their nodes */
    uint32_t scalars;
    uint32_t strings;
    uint32_t regs;
    struct ld_scope {
        uint32_t serial; /* of the group it is in */
        uint32_t node;
    } * scopes; /* one per field */
};

/* Record an error at offset AT of the source.  Returns false. */
bool ld_parser_fail(struct ld_parser *ps, uint32_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, quoting the current option's text first. */
bool ld_parser_reject(struct ld_parser *ps, const char *why);

/* The next byte, 0 at the end, and whether it is C, which is then consumed. */
char ld_parser_peek(const struct ld_parser *ps);
bool ld_parser_accept(struct ld_parser *ps, char c);
void ld_parser_space(struct ld_parser *ps);

/* A decimal number, or FALLBACK when there is none.  False if too large. */
bool ld_parser_number(struct ld_parser *ps, uint32_t fallback, uint32_t *n);

/* An identifier's length at the next byte; 0 when there is none. */
uint32_t ld_parser_word(const struct ld_parser *ps);

/* Bytes between quotes, copied to the format's text. */
bool ld_parser_quoted(struct ld_parser *ps, struct ld_node *node);

/* "{max}", if it is there, into NODE->max. */
bool ld_parser_max(struct ld_parser *ps, struct ld_node *node);

/* The name of an earlier integer, whose register becomes NODE->ref. */
bool ld_parser_reference(struct ld_parser *ps, struct ld_node *node,
                         int16_t *field);

/* A new node or field, zeroed but for what is -1 or unbounded by default; NULL
 * and false when out of memory.  The pointer is good until the next one. */
struct ld_node *ld_parser_node(struct ld_parser *ps, uint8_t kind);
bool ld_parser_field(struct ld_parser *ps, struct ld_node *node, uint8_t kind,
                     int16_t ref);

/* One option, the parser standing on its letter. */
bool ld_parser_option(struct ld_parser *ps);

/* Fails unless the bits written so far fill whole bytes. */
bool ld_parser_whole_bytes(struct ld_parser *ps);

#endif
