/* format_lex.c -- the tokens of the format language, and its errors. */
#include "format_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ld_parser_fail(struct ld_parser *ps, uint32_t at, const char *fmt, ...)
{
    va_list ap;

    ps->err->column = at + 1;
    va_start(ap, fmt);
    vsnprintf(ps->err->message, sizeof(ps->err->message), fmt, ap);
    va_end(ap);
    return false;
}

bool ld_parser_reject(struct ld_parser *ps, const char *why)
{
    char text[24];
    uint32_t n = 0;
    uint32_t i;

    for (i = ps->option; i < ps->at && n < sizeof(text) - 1; i++) {
        char c = ps->src[i];

        text[n++] = c >= ' ' && c <= '~' ? c : '?';
    }
    text[n] = '\0';
    return ld_parser_fail(ps, ps->option, "'%s': %s", text, why);
}

char ld_parser_peek(const struct ld_parser *ps)
{
    return ps->at < ps->len ? ps->src[ps->at] : '\0';
}

bool ld_parser_accept(struct ld_parser *ps, char c)
{
    if (ps->at == ps->len || ps->src[ps->at] != c)
        return false;
    ps->at++;
    return true;
}

void ld_parser_space(struct ld_parser *ps)
{
    while (ps->at < ps->len && ps->src[ps->at] != '\0' &&
           strchr(" \t\r\n", ps->src[ps->at]))
        ps->at++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool ld_parser_number(struct ld_parser *ps, uint32_t fallback, uint32_t *n)
{
    uint32_t start = ps->at;
    uint64_t value = 0;

    while (is_digit(ld_parser_peek(ps))) {
        value = value * 10 + (uint64_t)(ps->src[ps->at++] - '0');
        if (value > LD_FORMAT_BIG)
            return ld_parser_fail(ps, start, "the number is too large");
    }
    *n = ps->at == start ? fallback : (uint32_t)value;
    return true;
}

uint32_t ld_parser_word(const struct ld_parser *ps)
{
    uint32_t at = ps->at;

    if (at == ps->len || !is_letter(ps->src[at]))
        return 0;
    while (at < ps->len && (is_letter(ps->src[at]) || is_digit(ps->src[at])))
        at++;
    return at - ps->at;
}

bool ld_parser_quoted(struct ld_parser *ps, struct ld_node *node)
{
    uint32_t start = ps->at;
    char quote = ld_parser_peek(ps);
    const char *end;

    if (quote != '"' && quote != '\'')
        return ld_parser_reject(ps, "a quote must follow");
    end = memchr(ps->src + start + 1, quote, ps->len - start - 1);
    if (!end)
        return ld_parser_fail(ps, start, "the quote is not closed");
    ps->at = (uint32_t)(end - ps->src) + 1;
    node->text = ps->text_len;
    node->text_len = ps->at - start - 2;
    if (node->text_len == 0)
        return ld_parser_fail(ps, start, "nothing between the quotes");
    memcpy(ps->f->text + node->text, ps->src + start + 1, node->text_len);
    ps->text_len += node->text_len;
    return true;
}

bool ld_parser_max(struct ld_parser *ps, struct ld_node *node)
{
    uint32_t start = ps->at;

    if (!ld_parser_accept(ps, '{'))
        return true;
    if (!ld_parser_number(ps, UINT32_MAX, &node->max))
        return false;
    if (node->max == UINT32_MAX || !ld_parser_accept(ps, '}'))
        return ld_parser_fail(ps, start, "a maximum is written {number}");
    return true;
}

static bool is_open(const struct ld_parser *ps, uint32_t serial)
{
    uint32_t i;

    for (i = 0; i <= ps->depth; i++)
        if (ps->serial[i] == serial)
            return true;
    return false;
}

/* The nearest field of that name in this group or one around it, or -1. */
static int find_field(const struct ld_parser *ps, const char *name, size_t len)
{
    int i;

    for (i = (int)ps->f->field_count - 1; i >= 0; i--) {
        const char *other = ps->f->fields[i].name;

        if (strlen(other) == len && !memcmp(other, name, len) &&
            !ps->f->fields[i].hidden && is_open(ps, ps->scopes[i].serial))
            return i;
    }
    return -1;
}

/* The register of field I, or -1 when none is left or it is no integer. */
static int find_register(struct ld_parser *ps, int i)
{
    struct ld_node *node = &ps->f->nodes[ps->scopes[i].node];

    if (node->save < 0 && ps->regs < LD_FORMAT_REGS)
        node->save = (int8_t)ps->regs++;
    return node->save;
}

static bool is_integer(const struct ld_parser *ps, int i)
{
    switch (ps->f->nodes[ps->scopes[i].node].kind) {
    case LD_NODE_INT:
    case LD_NODE_BITS:
    case LD_NODE_VARINT:
    case LD_NODE_DECIMAL: return ps->f->fields[i].kind != LD_FIELD_END;
    default: return false;
    }
}

bool ld_parser_reference(struct ld_parser *ps, struct ld_node *node,
                         int16_t *field)
{
    uint32_t start = ps->at;
    const char *name = ps->src + start;
    uint32_t len = ld_parser_word(ps);
    int width = len < 24 ? (int)len : 24;
    int i;

    if (len == 0)
        return ld_parser_fail(ps, start, "a field's name must follow here");
    ps->at += len;
    i = find_field(ps, name, len);
    if (i < 0)
        return ld_parser_fail(ps, start,
                              "no field '%.*s' before this, in this "
                              "group or around it",
                              width, name);
    if (!is_integer(ps, i))
        return ld_parser_fail(ps, start, "'%.*s' is not an integer", width,
                              name);
    node->ref = (int8_t)find_register(ps, i);
    if (node->ref < 0)
        return ld_parser_fail(ps, start, "more than %d fields are referred to",
                              LD_FORMAT_REGS);
    *field = (int16_t)i;
    return true;
}
