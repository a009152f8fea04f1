/* format_parse.c -- the text of a format as a whole: names, groups, order.
 *
 * Builds the nodes and fields; knows what may be written, not how it runs.
 */
#include "format_parser.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more in *ARRAY.  Growing by doubling keeps parsing linear. */
static bool grow(struct ld_parser *ps, void **array, uint32_t count,
                 uint32_t *room, size_t size)
{
    uint32_t more = *room ? *room * 2 : 16;
    void *p;

    if (count < *room)
        return true;
    p = realloc(*array, more * size);
    if (!p)
        return ld_parser_fail(ps, ps->at, "out of memory");
    *array = p;
    *room = more;
    return true;
}

struct ld_node *ld_parser_node(struct ld_parser *ps, uint8_t kind)
{
    void *nodes = ps->f->nodes;
    struct ld_node *node;

    if (!grow(ps, &nodes, ps->f->node_count, &ps->node_room, sizeof(*node)))
        return NULL;
    ps->f->nodes = nodes;
    node = &ps->f->nodes[ps->f->node_count++];
    memset(node, 0, sizeof(*node));
    node->kind = kind;
    node->save = node->ref = -1;
    node->field = -1;
    node->max = UINT32_MAX;
    node->hidden = ps->hidden;
    return node;
}

/* Fields and their scopes grow together. */
static bool grow_fields(struct ld_parser *ps)
{
    uint32_t count = ps->f->field_count;
    uint32_t room = ps->field_room;
    void *fields = ps->f->fields;
    void *scopes = ps->scopes;
    bool ok;

    ok = grow(ps, &fields, count, &room, sizeof(*ps->f->fields));
    ps->f->fields = fields;
    if (!ok)
        return false;
    ok = grow(ps, &scopes, count, &ps->field_room, sizeof(*ps->scopes));
    ps->scopes = scopes;
    return ok;
}

/* Fields outside repeats have a place each in what a read returns. */
static bool count_field(struct ld_parser *ps, uint8_t kind)
{
    bool string = kind == LD_FIELD_STRING || kind == LD_FIELD_SLICE;

    if (ps->repeats || ps->hidden || kind >= LD_FIELD_REPEAT)
        return true;
    if (string && ++ps->strings > LD_FORMAT_BYTES)
        return ld_parser_fail(ps, ps->item,
                              "more than %d strings outside "
                              "repeats",
                              LD_FORMAT_BYTES);
    if (!string && ++ps->scalars > LD_FORMAT_SCALARS)
        return ld_parser_fail(ps, ps->item,
                              "more than %d numbers outside "
                              "repeats",
                              LD_FORMAT_SCALARS);
    return true;
}

bool ld_parser_field(struct ld_parser *ps, struct ld_node *node, uint8_t kind,
                     int16_t ref)
{
    struct ld_field *field;

    if (!count_field(ps, kind) || !grow_fields(ps))
        return false;
    node->result = kind;
    node->field = (int16_t)ps->f->field_count;
    ps->scopes[ps->f->field_count].serial = ps->serial[ps->depth];
    ps->scopes[ps->f->field_count].node = (uint32_t)(node - ps->f->nodes);
    field = &ps->f->fields[ps->f->field_count++];
    field->kind = kind;
    field->hidden = ps->hidden;
    field->ref = ref;
    field->adjust = node->adjust;
    field->column = ps->item + 1;
    field->name = ps->name;
    return true;
}

static bool is_taken(const struct ld_parser *ps, const char *name)
{
    uint32_t i;

    for (i = 0; i < ps->f->field_count; i++)
        if (ps->scopes[i].serial == ps->serial[ps->depth] &&
            !strcmp(ps->f->fields[i].name, name))
            return true;
    return false;
}

/* "name:", if it is there. */
static bool take_name(struct ld_parser *ps)
{
    uint32_t len = ld_parser_word(ps);
    char *name = ps->f->text + ps->text_len;

    ps->name = "";
    ps->hidden = false;
    if (len == 0 || ps->at + len == ps->len || ps->src[ps->at + len] != ':')
        return true;
    memcpy(name, ps->src + ps->at, len);
    name[len] = '\0';
    ps->text_len += len + 1;
    ps->hidden = !strcmp(name, "_");
    if (!ps->hidden && is_taken(ps, name))
        return ld_parser_fail(ps, ps->at, "there are two fields '%.24s'", name);
    ps->name = name;
    ps->at += len + 1;
    ld_parser_space(ps);
    return true;
}

/* Open a group: NODE and its field, then the parenthesis. */
static bool open_group(struct ld_parser *ps, struct ld_node *node, uint8_t kind,
                       int16_t ref)
{
    if (ps->hidden)
        return ld_parser_reject(ps, "a group cannot be hidden");
    if (!ld_parser_accept(ps, '('))
        return ld_parser_reject(ps, "a group in ( ) must follow");
    if (ps->depth == LD_FORMAT_NESTING)
        return ld_parser_reject(ps, "more than 4 groups inside each other");
    if (!ld_parser_field(ps, node, kind, ref))
        return false;
    ps->depth++;
    ps->repeats += kind == LD_FIELD_REPEAT;
    ps->serial[ps->depth] = ++ps->groups;
    ps->opened[ps->depth] = (uint32_t)(node - ps->f->nodes);
    return true;
}

/* "3*(" or "@name*(" */
static bool repeat(struct ld_parser *ps)
{
    struct ld_node *node = ld_parser_node(ps, LD_NODE_REPEAT);
    int16_t field = -1;

    if (!node)
        return false;
    if (ld_parser_accept(ps, '@')) {
        if (!ld_parser_reference(ps, node, &field))
            return false;
        node->max = LD_FORMAT_VALUES;
    } else if (!ld_parser_number(ps, 0, &node->n)) {
        return false;
    }
    if (!ld_parser_accept(ps, '*'))
        return ld_parser_reject(ps, "* and a group must follow the count");
    return open_group(ps, node, LD_FIELD_REPEAT, field);
}

/* The constant a condition compares with. */
static bool operand(struct ld_parser *ps, struct ld_node *node)
{
    bool minus = ld_parser_accept(ps, '-');
    uint32_t n;

    if (!ld_parser_number(ps, UINT32_MAX, &n))
        return false;
    if (n == UINT32_MAX)
        return ld_parser_reject(ps, "a number must follow = or &");
    node->operand = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

/* "?name(", "?name=3(" or "?name&4(" */
static bool condition(struct ld_parser *ps)
{
    struct ld_node *node = ld_parser_node(ps, LD_NODE_IF);
    int16_t field = -1;

    ps->at++;
    if (!node)
        return false;
    if (ps->f->field_count == 0)
        return ld_parser_reject(ps, "a format cannot start with a condition");
    if (ld_parser_word(ps) == 0)
        return ld_parser_reject(ps, "a condition names its field: ?name(...)");
    if (!ld_parser_reference(ps, node, &field))
        return false;
    if (ld_parser_accept(ps, '='))
        node->operator= LD_TEST_EQUAL;
    else if (ld_parser_accept(ps, '&'))
        node->operator= LD_TEST_AND;
    if (node->operator!= LD_TEST_TRUE && !operand(ps, node))
        return false;
    return open_group(ps, node, LD_FIELD_IF, field);
}

static bool close_group(struct ld_parser *ps)
{
    uint32_t start = ps->opened[ps->depth];
    struct ld_node *node;

    ps->at++;
    if (ps->depth == 0)
        return ld_parser_fail(ps, ps->at - 1, "this ) closes nothing");
    if (!ld_parser_whole_bytes(ps))
        return false;
    ps->hidden = false;
    ps->name = "";
    node = ld_parser_node(ps, LD_NODE_END);
    if (!node || !ld_parser_field(ps, node, LD_FIELD_END, -1))
        return false;
    node->match = start;
    ps->f->nodes[start].match = (uint32_t)(node - ps->f->nodes);
    ps->depth--;
    ps->repeats -= ps->f->nodes[start].kind == LD_NODE_REPEAT;
    if (ps->f->nodes[start].kind != LD_NODE_REPEAT ||
        ps->f->nodes[start].ref < 0)
        return true;
    return ld_parser_max(ps, &ps->f->nodes[start]);
}

/* "!" or "!4": alignment from here on */
static bool alignment(struct ld_parser *ps)
{
    uint32_t n;

    if (!ld_parser_number(ps, 8, &n))
        return false;
    if (n < 1 || n > 16 || (n & (n - 1)))
        return ld_parser_reject(ps, "an alignment is 1, 2, 4, 8 or 16");
    ps->max_align = (uint8_t)n;
    return true;
}

static enum ld_order native_order(void)
{
    const uint16_t one = 1;
    uint8_t first;

    memcpy(&first, &one, 1);
    return first ? LD_ORDER_LITTLE : LD_ORDER_BIG;
}

/* The signs that change what follows them.  False when C is none. */
static bool take_mode(struct ld_parser *ps, char c)
{
    switch (c) {
    case '<': ps->order = LD_ORDER_LITTLE; break;
    case '>': ps->order = LD_ORDER_BIG; break;
    case '=': ps->order = native_order(); break;
    default: return false;
    }
    ps->at++;
    return true;
}

static bool take_item(struct ld_parser *ps)
{
    char c;

    if (!take_name(ps))
        return false;
    while (ps->name[0] && take_mode(ps, ld_parser_peek(ps)))
        ld_parser_space(ps);
    ps->option = ps->at;
    c = ld_parser_peek(ps);
    if (ps->at == ps->len)
        return ld_parser_fail(ps, ps->item, "the name '%.24s' needs an option",
                              ps->name);
    if (c == '?' || c == '@' || (c >= '0' && c <= '9')) {
        if (!ld_parser_whole_bytes(ps))
            return false;
        return c == '?' ? condition(ps) : repeat(ps);
    }
    if (!ld_parser_option(ps))
        return false;
    if (ps->name[0] &&
        (ps->f->field_count == 0 ||
         ps->f->fields[ps->f->field_count - 1].column != ps->item + 1))
        return ld_parser_reject(ps, "this has no value to name");
    if (ld_parser_peek(ps) == '{')
        return ld_parser_reject(ps, "this takes no maximum");
    return true;
}

static bool parse(struct ld_parser *ps)
{
    for (;;) {
        ld_parser_space(ps);
        if (ps->at == ps->len)
            break;
        ps->item = ps->option = ps->at;
        if (take_mode(ps, ps->src[ps->at]))
            continue;
        if (ps->src[ps->at] == ')') {
            if (!close_group(ps))
                return false;
        } else if (ld_parser_accept(ps, '!')) {
            if (!ld_parser_whole_bytes(ps) || !alignment(ps))
                return false;
        } else if (!take_item(ps)) {
            return false;
        }
    }
    if (ps->depth > 0)
        return ld_parser_fail(ps, ps->len, "a ) is missing");
    return ld_parser_whole_bytes(ps);
}

bool ld_format_parse(struct ld_format *f, const char *src, size_t len,
                     struct ld_format_error *err)
{
    struct ld_parser ps = {.f = f, .err = err, .src = src, .name = ""};
    bool ok;

    if (len > LD_FORMAT_SOURCE_MAX)
        return ld_parser_fail(&ps, LD_FORMAT_SOURCE_MAX,
                              "a format has at most %d bytes",
                              LD_FORMAT_SOURCE_MAX);
    ps.len = (uint32_t)len;
    ps.max_align = 1;
    f->text = malloc(len + 1);
    if (!f->text)
        return ld_parser_fail(&ps, 0, "out of memory");
    ok = parse(&ps);
    free(ps.scopes);
    return ok;
}
