/* format.c -- a compiled format as its users see it: make, look, free. */
#include "format_ops.h"

#include <stdlib.h>

struct ld_format *ld_format_compile(const char *src, size_t len,
                                    struct ld_format_error *err)
{
    struct ld_format *f = calloc(1, sizeof(*f));

    err->column = 1;
    if (!f) {
        *err = (struct ld_format_error){1, "out of memory"};
        return NULL;
    }
    if (ld_format_parse(f, src, len, err) && ld_format_emit(f, err))
        return f;
    ld_format_free(f);
    return NULL;
}

void ld_format_free(struct ld_format *f)
{
    if (!f)
        return;
    free(f->ops);
    free(f->gathers);
    free(f->lanes);
    free(f->nodes);
    free(f->fields);
    free(f->text);
    free(f);
}

const struct ld_field *ld_format_fields(const struct ld_format *f,
                                        uint32_t *count)
{
    *count = f->field_count;
    return f->fields;
}

uint32_t ld_format_first_need(const struct ld_format *f)
{
    switch (f->ops[0].code) {
    case LD_OP_FIXED: return (uint32_t)f->ops[0].n;
    case LD_OP_PREFIXED: return f->ops[0].size;
    default: return f->min_size > 0;
    }
}

uint32_t ld_format_min_size(const struct ld_format *f)
{
    return f->min_size;
}
