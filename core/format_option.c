/* format_option.c -- one option of the format language: its letter, its size,
 * and what may follow.
 */
#include "format_parser.h"

#include <string.h>

/* What each letter of a fixed-size number stands for; SIZE is Lua's on 64-bit
 * machines, and SIZED tells that a number may follow to change it. */
static const struct number {
    char letter;
    uint8_t size;
    uint8_t sign;
    uint8_t sized;
    uint8_t kind;
    uint8_t result;
} numbers[] = {
    {'b', 1, 1, 0, LD_NODE_INT, LD_FIELD_NUMBER},
    {'B', 1, 0, 0, LD_NODE_INT, LD_FIELD_NUMBER},
    {'h', 2, 1, 0, LD_NODE_INT, LD_FIELD_NUMBER},
    {'H', 2, 0, 0, LD_NODE_INT, LD_FIELD_NUMBER},
    {'i', 4, 1, 1, LD_NODE_INT, LD_FIELD_NUMBER},
    {'I', 4, 0, 1, LD_NODE_INT, LD_FIELD_NUMBER},
    {'l', 8, 1, 0, LD_NODE_INT, LD_FIELD_NUMBER},
    {'L', 8, 0, 0, LD_NODE_INT, LD_FIELD_NUMBER},
    {'T', 8, 0, 0, LD_NODE_INT, LD_FIELD_NUMBER},
    {'j', 8, 1, 0, LD_NODE_INT, LD_FIELD_INT64},
    {'J', 8, 0, 0, LD_NODE_INT, LD_FIELD_UINT64},
    {'f', 4, 1, 0, LD_NODE_FLOAT, LD_FIELD_NUMBER},
    {'d', 8, 1, 0, LD_NODE_FLOAT, LD_FIELD_NUMBER},
    {'n', 8, 1, 0, LD_NODE_FLOAT, LD_FIELD_NUMBER},
};

static const struct number *find_number(char letter)
{
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].letter == letter)
            return &numbers[i];
    return NULL;
}

static bool ordered(struct ld_parser *ps, struct ld_node *node)
{
    if (ps->order == LD_ORDER_NONE)
        return ld_parser_reject(ps, "choose a byte order first: < or >");
    node->big = ps->order == LD_ORDER_BIG;
    return true;
}

/* A node that aligns what follows, SIZE bytes big, when "!" asked for it. */
static bool align(struct ld_parser *ps, uint32_t size)
{
    struct ld_node *node;

    if (size > ps->max_align)
        size = ps->max_align;
    if (size <= 1)
        return true;
    if (size & (size - 1))
        return ld_parser_reject(ps, "only a power of 2 can be aligned");
    node = ld_parser_node(ps, LD_NODE_ALIGN);
    if (!node)
        return false;
    node->size = (uint8_t)size;
    return true;
}

/* The size behind a letter, from 1 to 8. */
static bool integer_size(struct ld_parser *ps, uint32_t fallback, uint32_t *n)
{
    if (!ld_parser_number(ps, fallback, n))
        return false;
    if (*n < 1 || *n > 8)
        return ld_parser_reject(ps, "an integer has 1 to 8 bytes");
    return true;
}

static bool number(struct ld_parser *ps, const struct number *kind)
{
    struct ld_node *node;
    uint32_t size = kind->size;

    if (kind->sized && !integer_size(ps, size, &size))
        return false;
    if (!align(ps, size))
        return false;
    node = ld_parser_node(ps, kind->kind);
    if (!node)
        return false;
    node->size = (uint8_t)size;
    node->sign = kind->sign;
    node->big = ps->order == LD_ORDER_BIG;
    if (size > 1 && !ordered(ps, node))
        return false;
    return ld_parser_field(ps, node, kind->result, -1);
}

static bool bits(struct ld_parser *ps, bool sign)
{
    struct ld_node *node;
    uint32_t n;

    if (!ld_parser_number(ps, 0, &n))
        return false;
    if (n < 1 || n > 56)
        return ld_parser_reject(ps, "a bit field has 1 to 56 bits");
    if (ps->bits + n > 56)
        return ld_parser_reject(ps, "more than 56 bits without filling bytes");
    node = ld_parser_node(ps, LD_NODE_BITS);
    if (!node || !ordered(ps, node))
        return false;
    if (ps->bits == 0)
        ps->bits_at = ps->option;
    else if (node[-1].big != node->big)
        return ld_parser_reject(ps, "the order changed inside a byte");
    node->sign = sign;
    node->bits = (uint8_t)n;
    node->bit = (uint8_t)ps->bits;
    ps->bits += n;
    if (ps->bits % 8 == 0) {
        node->group = (uint8_t)(ps->bits / 8);
        ps->bits = 0;
    }
    return ld_parser_field(ps, node, LD_FIELD_NUMBER, -1);
}

static bool varint(struct ld_parser *ps, uint8_t enc)
{
    uint8_t result = LD_FIELD_NUMBER;
    struct ld_node *node;

    if (enc != LD_ENC_MQTT && ld_parser_accept(ps, 'j'))
        result = LD_FIELD_INT64;
    else if ((enc == LD_ENC_LEB128 || enc == LD_ENC_QUIC) &&
             ld_parser_accept(ps, 'J'))
        result = LD_FIELD_UINT64;
    node = ld_parser_node(ps, LD_NODE_VARINT);
    if (!node)
        return false;
    node->enc = enc;
    return ld_parser_field(ps, node, result, -1);
}

static bool delimiter(struct ld_parser *ps, struct ld_node *node)
{
    if (!ld_parser_quoted(ps, node))
        return false;
    if (node->text_len > LD_FORMAT_DELIMITER)
        return ld_parser_reject(ps, "a delimiter has 1 to 8 bytes");
    return true;
}

/* A decimal's delimiter: it cannot start with what belongs to the number. */
static bool decimal_end(struct ld_parser *ps, struct ld_node *node)
{
    char c;

    if (!delimiter(ps, node))
        return false;
    c = ps->f->text[node->text];
    if (c >= '0' && c <= '9')
        return ld_parser_reject(ps, "a digit cannot end a decimal");
    return true;
}

static bool decimal(struct ld_parser *ps)
{
    struct ld_node *node = ld_parser_node(ps, LD_NODE_DECIMAL);

    if (!node || !decimal_end(ps, node))
        return false;
    node->enc = LD_ENC_DECIMAL;
    node->max = LD_FORMAT_DIGITS;
    if (!ld_parser_max(ps, node))
        return false;
    return ld_parser_field(ps, node, LD_FIELD_NUMBER, -1);
}

/* "@name", or "(@name+4)", or nothing. */
static bool length_of(struct ld_parser *ps, struct ld_node *node,
                      int16_t *field)
{
    bool sum = ld_parser_accept(ps, '(');
    bool minus;
    uint32_t n;

    if (!ld_parser_accept(ps, '@'))
        return !sum || ld_parser_reject(ps, "@name must follow the (");
    if (!ld_parser_reference(ps, node, field))
        return false;
    if (!sum)
        return true;
    minus = ld_parser_accept(ps, '-');
    if (minus || ld_parser_accept(ps, '+')) {
        if (!ld_parser_number(ps, LD_FORMAT_BIG, &n))
            return false;
        if (n == LD_FORMAT_BIG)
            return ld_parser_reject(ps, "a number must follow the sign");
        node->adjust = minus ? -(int32_t)n : (int32_t)n;
    }
    return ld_parser_accept(ps, ')') ||
           ld_parser_reject(ps, "a ) must close the length");
}

static bool sized_bytes(struct ld_parser *ps, uint8_t result)
{
    struct ld_node *node = ld_parser_node(ps, LD_NODE_BYTES);
    int16_t field = -1;

    if (!node || !length_of(ps, node, &field))
        return false;
    if (node->ref >= 0)
        return ld_parser_max(ps, node) &&
               ld_parser_field(ps, node, result, field);
    if (!ld_parser_number(ps, UINT32_MAX, &node->n))
        return false;
    if (node->n == UINT32_MAX)
        return ld_parser_reject(ps, "c needs a size: c16 or c@name");
    return ld_parser_field(ps, node, result, -1);
}

/* The prefix of "s", which stands behind it; the alignment is the prefix's. */
static bool prefix(struct ld_parser *ps, struct ld_node *node)
{
    switch (ld_parser_peek(ps)) {
    case 'v': node->enc = LD_ENC_LEB128; break;
    case 'm': node->enc = LD_ENC_MQTT; break;
    case 'q': node->enc = LD_ENC_QUIC; break;
    case 'D': node->enc = LD_ENC_DECIMAL; break;
    default: node->enc = LD_ENC_FIXED; break;
    }
    if (node->enc == LD_ENC_FIXED)
        return node->size == 1 || ordered(ps, node);
    ps->at++;
    node->size = 0;
    return node->enc != LD_ENC_DECIMAL || decimal_end(ps, node);
}

static bool prefixed(struct ld_parser *ps, uint8_t result)
{
    bool fixed = !memchr("vmqD", ld_parser_peek(ps), 4);
    struct ld_node *node;
    uint32_t size = 8;

    if (fixed && (!integer_size(ps, size, &size) || !align(ps, size)))
        return false;
    node = ld_parser_node(ps, LD_NODE_PREFIXED);
    if (!node)
        return false;
    node->size = (uint8_t)size;
    return prefix(ps, node) && ld_parser_max(ps, node) &&
           ld_parser_field(ps, node, result, -1);
}

static bool until(struct ld_parser *ps, uint8_t result, char letter)
{
    struct ld_node *node = ld_parser_node(ps, LD_NODE_UNTIL);

    if (!node)
        return false;
    if (letter == 't') {
        if (!delimiter(ps, node))
            return false;
    } else {
        node->line = letter == 'y';
        node->text = ps->text_len;
        node->text_len = 1;
        ps->f->text[ps->text_len++] = letter == 'y' ? '\n' : '\0';
    }
    return ld_parser_max(ps, node) && ld_parser_field(ps, node, result, -1);
}

static bool pad(struct ld_parser *ps)
{
    struct ld_node *node = ld_parser_node(ps, LD_NODE_PAD);
    int16_t field = -1;

    if (!node || !length_of(ps, node, &field))
        return false;
    if (node->ref >= 0)
        return ld_parser_max(ps, node);
    return ld_parser_number(ps, 1, &node->n);
}

/* "X" and a letter: aligns as if that number stood here. */
static bool align_as(struct ld_parser *ps)
{
    const struct number *kind = find_number(ld_parser_peek(ps));
    bool string = ld_parser_peek(ps) == 's';
    uint32_t size;

    if (!kind && !string)
        return ld_parser_reject(ps, "a number's option must follow X");
    ps->at++;
    size = kind ? kind->size : 8;
    if ((string || kind->sized) && !integer_size(ps, size, &size))
        return false;
    return align(ps, size);
}

static bool literal(struct ld_parser *ps)
{
    struct ld_node *node = ld_parser_node(ps, LD_NODE_LITERAL);

    return node && ld_parser_quoted(ps, node);
}

static bool bytes_option(struct ld_parser *ps, char letter, uint8_t result)
{
    switch (letter) {
    case 'c': return sized_bytes(ps, result);
    case 's': return prefixed(ps, result);
    case 'z':
    case 't':
    case 'y': return until(ps, result, letter);
    default: return ld_parser_reject(ps, "& goes before one of c s z t y");
    }
}

static bool is_bytes(char letter)
{
    return letter != '\0' && strchr("csyzt", letter) != NULL;
}

static bool take_option(struct ld_parser *ps, char letter)
{
    const struct number *kind = find_number(letter);

    if (kind)
        return number(ps, kind);
    if (is_bytes(letter))
        return bytes_option(ps, letter, LD_FIELD_STRING);
    switch (letter) {
    case 'v': return varint(ps, LD_ENC_LEB128);
    case 'V': return varint(ps, LD_ENC_ZIGZAG);
    case 'm': return varint(ps, LD_ENC_MQTT);
    case 'q': return varint(ps, LD_ENC_QUIC);
    case 'D': return decimal(ps);
    case 'x': return pad(ps);
    case 'X': return align_as(ps);
    case '&':
        letter = ld_parser_peek(ps);
        ps->at += ps->at < ps->len;
        return bytes_option(ps, letter, LD_FIELD_SLICE);
    default: return ld_parser_reject(ps, "there is no such option");
    }
}

bool ld_parser_option(struct ld_parser *ps)
{
    char letter = ld_parser_peek(ps);

    if (letter == 'u' || letter == 'k') {
        ps->at++;
        return bits(ps, letter == 'k');
    }
    if (!ld_parser_whole_bytes(ps))
        return false;
    if (letter == '"' || letter == '\'')
        return literal(ps);
    ps->at++;
    return take_option(ps, letter);
}

bool ld_parser_whole_bytes(struct ld_parser *ps)
{
    if (ps->bits == 0)
        return true;
    return ld_parser_fail(ps, ps->bits_at,
                          "%u bits: a run of bit fields must "
                          "fill whole bytes",
                          ps->bits);
}
