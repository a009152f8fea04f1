/* native_frame.c -- the values of a frame, for handlers in C. */
#include "native.h"

struct walk {
    struct ld_frame *frame;
    const struct ld_native_state *state;
};

/* The index behind the group that field I opens. */
static uint32_t behind(const struct ld_native_state *st, uint32_t i)
{
    uint32_t depth = 1;

    for (i++; i < st->field_count && depth > 0; i++) {
        uint8_t kind = st->fields[i].kind;

        depth += kind == LD_FIELD_REPEAT || kind == LD_FIELD_IF;
        depth -= kind == LD_FIELD_END;
    }
    return i;
}

/* Note the kinds of the values from field I to the end of its group. */
static void note(struct walk *w, uint32_t i)
{
    const struct ld_native_state *st = w->state;
    struct ld_frame *f = w->frame;

    while (i < st->field_count && f->count < LD_FORMAT_VALUES) {
        const struct ld_field *field = &st->fields[i];
        double times;

        if (field->kind == LD_FIELD_END)
            return;
        if (field->kind != LD_FIELD_REPEAT && field->kind != LD_FIELD_IF) {
            if (!field->hidden)
                f->kinds[f->count++] = field->kind;
            i++;
            continue;
        }
        times = f->result->values[f->count].n;
        f->kinds[f->count++] = LD_FIELD_NUMBER;
        for (double k = 0; k < times; k++)
            note(w, i + 1);
        i = behind(st, i);
    }
}

void ld_native_look(struct ld_frame *f, const struct ld_native_state *st,
                    const struct ld_result *r)
{
    struct walk w = {f, st};

    f->result = r;
    f->count = 0;
    note(&w, 0);
}

LD_PUBLIC size_t ld_frame_count(const struct ld_frame *f)
{
    return f ? f->count : 0;
}

LD_PUBLIC double ld_frame_number(const struct ld_frame *f, size_t index)
{
    const union ld_value *v;

    if (!f || index >= f->count)
        return 0;
    v = &f->result->values[index];
    switch (f->kinds[index]) {
    case LD_FIELD_NUMBER: return v->n;
    case LD_FIELD_INT64: return (double)v->i;
    case LD_FIELD_UINT64: return (double)v->u;
    default: return 0;
    }
}

LD_PUBLIC int64_t ld_frame_integer(const struct ld_frame *f, size_t index)
{
    const union ld_value *v;

    if (!f || index >= f->count)
        return 0;
    v = &f->result->values[index];
    switch (f->kinds[index]) {
    case LD_FIELD_NUMBER:
        return v->n >= -0x1p63 && v->n < 0x1p63 ? (int64_t)v->n : 0;
    case LD_FIELD_INT64: return v->i;
    case LD_FIELD_UINT64: return (int64_t)v->u;
    default: return 0;
    }
}

LD_PUBLIC const void *ld_frame_bytes(const struct ld_frame *f, size_t index,
                                     size_t *size)
{
    const union ld_value *v;

    if (size)
        *size = 0;
    if (!f || index >= f->count ||
        (f->kinds[index] != LD_FIELD_STRING &&
         f->kinds[index] != LD_FIELD_SLICE))
        return NULL;
    v = &f->result->values[index];
    if (size)
        *size = v->s.len;
    return f->result->frame + v->s.off;
}

LD_PUBLIC const void *ld_frame_raw(const struct ld_frame *f, size_t *size)
{
    if (size)
        *size = f && f->whole ? f->result->size : 0;
    return f && f->whole ? f->result->frame : NULL;
}
