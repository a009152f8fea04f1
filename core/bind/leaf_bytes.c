/* leaf_bytes.c -- slices, buffers and formats, by FFI; see api.h.
 *
 * A slice is a place in a connection's input buffer and the generation of
 * that buffer: it is good for as long as both still hold.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vm.h"

enum {
    FIRST_CHUNK = 256, /* bytes; many buffers stay small */
    KEPT_MAX = 1 << 16 /* bytes that an emptied buffer may go on holding */
};

/* The bytes of a slice, or NULL when it is stale. */
static const uint8_t *slice_bytes(struct ld_vm *vm, int64_t h, uint32_t view,
                                  uint32_t off, uint32_t len,
                                  struct ld_conn **of)
{
    struct ld_conn *c = ld_vm_conn(vm, h);
    const struct ld_blob *in;

    if (!c || c->view != view)
        return NULL;
    in = c->in ? c->in : vm->pool->read_blob;
    if (off > in->size || len > in->size - off)
        return NULL;
    *of = c;
    return in->data + off;
}

static int leaf_slice(struct ld_vm *vm, int64_t h, uint32_t view, uint32_t off,
                      uint32_t len)
{
    struct ld_conn *c;
    const uint8_t *p = slice_bytes(vm, h, view, off, len, &c);

    if (!p)
        return LD_STALE;
    vm->pool->result->frame = p;
    return LD_OK;
}

/* args[i] is LEN bytes at P, inside BLOB if there is one worth sharing. */
static void set_bytes(struct ld_vm *vm, uint32_t i, const uint8_t *p,
                      uint32_t len, struct ld_blob *blob)
{
    struct ld_arg *a = &vm->args[i];

    a->kind = LD_ARG_BYTES;
    a->p = p;
    a->len = len;
    if (!blob || len < LD_SHARE_MIN || vm->share_count == LD_SHARES_MAX)
        return;
    a->kind = LD_ARG_SHARED;
    vm->shares[vm->share_count++] =
        (struct ld_share){i, (uint32_t)(p - blob->data), blob};
}

static int leaf_slice_arg(struct ld_vm *vm, uint32_t i, int64_t h,
                          uint32_t view, uint32_t off, uint32_t len)
{
    struct ld_conn *c;
    const uint8_t *p = slice_bytes(vm, h, view, off, len, &c);

    if (!p)
        return LD_STALE;
    set_bytes(vm, i, p, len, c->in != vm->pool->read_blob ? c->in : NULL);
    return LD_OK;
}

enum ld_status ld_vm_resolve(struct ld_vm *vm, uint32_t count)
{
    int st = LD_OK;

    for (uint32_t i = 0; i < count && !st; i++) {
        const struct ld_slice_ref *ref = &vm->refs[i];

        if (vm->args[i].kind == LD_ARG_SLICE)
            st = leaf_slice_arg(vm, i, (int64_t)ref->conn, ref->view, ref->off,
                                vm->args[i].len);
    }
    if (st)
        vm->share_count = 0;
    return (enum ld_status)st;
}

static bool grow_buffers(struct ld_vm *vm)
{
    uint32_t cap = vm->buffer_count ? 2 * vm->buffer_count : 64;
    struct ld_lua_buffer *grown;

    if (cap > 1U << LD_BUFFER_SLOT_BITS)
        return false;
    grown = realloc(vm->buffers, cap * sizeof(*grown));
    if (!grown)
        return false;
    for (uint32_t i = cap; i-- > vm->buffer_count;) {
        grown[i] = (struct ld_lua_buffer){NULL, 1, vm->buffer_free, false};
        vm->buffer_free = i;
    }
    vm->buffers = grown;
    vm->buffer_count = cap;
    return true;
}

static double leaf_buffer_new(struct ld_vm *vm, double max)
{
    struct ld_lua_buffer *b;
    uint32_t slot;

    if (vm->buffer_free == UINT32_MAX && !grow_buffers(vm))
        return 0;
    slot = vm->buffer_free;
    b = &vm->buffers[slot];
    b->chain = malloc(sizeof(*b->chain));
    if (!b->chain)
        return 0;
    ld_chain_init_small(b->chain, &vm->pool->chunks, FIRST_CHUNK);
    vm->buffer_free = b->max;
    b->max = max < INT32_MAX ? (uint32_t)max : INT32_MAX;
    b->sealed = false;
    vm->external += sizeof(*b->chain);
    return (double)((int64_t)b->generation << LD_BUFFER_SLOT_BITS | slot);
}

static void leaf_buffer_free(struct ld_vm *vm, double handle)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, (int64_t)handle);

    if (!b)
        return;
    ld_chain_clear(b->chain);
    free(b->chain);
    b->chain = NULL;
    b->generation = b->generation % ((1U << 27) - 1) + 1;
    b->max = vm->buffer_free;
    vm->buffer_free = (uint32_t)(b - vm->buffers);
}

/* May N more bytes be added?  LD_OK, or why not. */
static enum ld_status may_add(struct ld_vm *vm, const struct ld_lua_buffer *b,
                              size_t n)
{
    if (!b)
        return LD_STALE;
    if (b->sealed)
        return LD_BUSY;
    if (b->chain->bytes + n > b->max)
        return LD_LIMIT;
    if (vm->pool->starved && b->chain->bytes + n > LD_HIGH_WATER)
        return LD_NOMEM;
    if (n > b->chain->room)
        vm->external += n;
    return LD_OK;
}

static int leaf_buffer_write(struct ld_vm *vm, int64_t h, const char *p,
                             size_t n)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);
    enum ld_status st = may_add(vm, b, n);

    return st ? (int)st : (int)ld_chain_write(b->chain, p, n);
}

static int leaf_buffer_put(struct ld_vm *vm, int64_t h, int64_t from,
                           double off, double len)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);
    struct ld_lua_buffer *src = ld_vm_buffer(vm, from);
    enum ld_status st = may_add(vm, b, (size_t)len);

    if (st)
        return (int)st;
    if (!src || b == src)
        return LD_STALE;
    if (off + len > (double)src->chain->bytes)
        return LD_RANGE;
    return (int)ld_chain_append_range(b->chain, src->chain, (size_t)off,
                                      (size_t)len);
}

static int leaf_buffer_put_args(struct ld_vm *vm, int64_t h, uint32_t count)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);
    enum ld_status st;
    size_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        n += vm->args[i].len;
    st = may_add(vm, b, n);
    if (!st)
        return (int)ld_vm_append(vm, b->chain, count);
    vm->share_count = 0;
    return (int)st;
}

static int leaf_pack_bytes(struct ld_vm *vm, uint32_t format, uint32_t count);

/* B may have no room for as much as the args could take, yet enough for what
 * they do take. */
static int pack_last(struct ld_vm *vm, struct ld_lua_buffer *b, uint32_t format,
                     uint32_t count)
{
    const struct ld_result *r = vm->pool->result;
    int st = leaf_pack_bytes(vm, format, count);

    if (!st)
        st = (int)may_add(vm, b, r->size);
    return st ? st : (int)ld_chain_write(b->chain, r->frame, r->size);
}

static int leaf_buffer_pack(struct ld_vm *vm, int64_t h, uint32_t format,
                            uint32_t count)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);
    const struct ld_format *f = vm->formats[format - 1];
    enum ld_status st = ld_vm_resolve(vm, count);

    if (st)
        return (int)st;
    st = may_add(vm, b, ld_pack_bound(f, vm->args, count));
    if (!st)
        return (int)ld_vm_pack(vm, b->chain, f, count);
    if (st == LD_LIMIT)
        return pack_last(vm, b, format, count);
    vm->share_count = 0;
    return (int)st;
}

static int leaf_buffer_seal(struct ld_vm *vm, int64_t h)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);

    if (!b)
        return LD_STALE;
    b->sealed = true;
    return LD_OK;
}

/* Empty, and open for as much as it held.  Its memory stays, if it is in one
 * piece that is not shared. */
static int leaf_buffer_clear(struct ld_vm *vm, int64_t h)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);

    if (!b)
        return LD_STALE;
    b->sealed = false;
    ld_chain_empty(b->chain, FIRST_CHUNK, KEPT_MAX);
    return LD_OK;
}

static double leaf_buffer_size(struct ld_vm *vm, int64_t h)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);

    return b ? (double)b->chain->bytes : -1;
}

static int leaf_buffer_bytes(struct ld_vm *vm, int64_t h)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);
    struct ld_result *r = vm->pool->result;

    if (!b)
        return LD_STALE;
    r->frame = b->chain->bytes ? ld_chain_flatten(b->chain)
                               : vm->pool->read_blob->data;
    r->size = (uint32_t)b->chain->bytes;
    return r->frame ? LD_OK : LD_NOMEM;
}

/* The bytes may be sent long after this call, so the buffer is sealed. */
static int leaf_buffer_arg(struct ld_vm *vm, uint32_t i, int64_t h)
{
    struct ld_lua_buffer *b = ld_vm_buffer(vm, h);
    const uint8_t *p;

    if (!b)
        return LD_STALE;
    b->sealed = true;
    if (b->chain->bytes == 0) {
        set_bytes(vm, i, vm->pool->read_blob->data, 0, NULL);
        return LD_OK;
    }
    p = ld_chain_flatten(b->chain);
    if (!p)
        return LD_NOMEM;
    set_bytes(vm, i, p, (uint32_t)b->chain->bytes,
              b->chain->segments[b->chain->head].blob);
    return LD_OK;
}

static int leaf_unpack_bytes(struct ld_vm *vm, uint32_t format,
                             const uint8_t *p, size_t n)
{
    struct ld_result *r = vm->pool->result;
    struct ld_parse parse = {0};
    uint8_t *copy = ld_vm_scratch(vm, n + LD_SLACK);
    enum ld_status st;

    if (!copy)
        return LD_NOMEM;
    memcpy(copy, p, n);
    st = ld_unpack(vm->formats[format - 1], &parse, copy, n, INT32_MAX,
                   r->values);
    r->frame = copy;
    r->size = parse.pos;
    r->field = parse.field;
    r->need = st == LD_AGAIN ? parse.need - (uint32_t)n : 0;
    return (int)st;
}

static int leaf_pack_bytes(struct ld_vm *vm, uint32_t format, uint32_t count)
{
    const struct ld_format *f = vm->formats[format - 1];
    struct ld_result *r = vm->pool->result;
    struct ld_packed done;
    enum ld_status st = ld_vm_resolve(vm, count);
    uint8_t *dst;

    if (st)
        return (int)st;
    for (uint32_t i = 0; i < count; i++)
        if (vm->args[i].kind == LD_ARG_SHARED)
            vm->args[i].kind = LD_ARG_BYTES;
    vm->share_count = 0;
    dst = ld_vm_scratch(vm, ld_pack_bound(f, vm->args, count) + LD_SLACK);
    if (!dst)
        return LD_NOMEM;
    st = ld_pack(f, vm->args, count, dst, &done);
    r->frame = dst;
    r->size = (uint32_t)done.size;
    r->field = done.arg;
    return (int)st;
}

static void leaf_format_free(struct ld_vm *vm, double id)
{
    uint32_t i = (uint32_t)id - 1;

    if (i >= vm->format_count)
        return;
    ld_format_free(vm->formats[i]);
    vm->formats[i] = NULL;
    if (i < vm->format_gap)
        vm->format_gap = i;
}

void ld_leaf_bytes(struct ld_api *api)
{
    api->slice = leaf_slice;
    api->slice_arg = leaf_slice_arg;
    api->buffer_new = leaf_buffer_new;
    api->buffer_free = leaf_buffer_free;
    api->buffer_write = leaf_buffer_write;
    api->buffer_put = leaf_buffer_put;
    api->buffer_put_args = leaf_buffer_put_args;
    api->buffer_pack = leaf_buffer_pack;
    api->buffer_seal = leaf_buffer_seal;
    api->buffer_clear = leaf_buffer_clear;
    api->buffer_size = leaf_buffer_size;
    api->buffer_arg = leaf_buffer_arg;
    api->buffer_bytes = leaf_buffer_bytes;
    api->unpack_bytes = leaf_unpack_bytes;
    api->pack_bytes = leaf_pack_bytes;
    api->format_free = leaf_format_free;
}
