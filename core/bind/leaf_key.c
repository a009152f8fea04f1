/* leaf_key.c -- bytes as keys of Lua tables.
 *
 * LuaJIT hashes a string by its length and some 16 of its bytes: keys that
 * differ elsewhere, such as numbered ones, share a chain of the string table,
 * and a peer can choose such keys on purpose.  Four bytes of a keyed hash over
 * all bytes, put in front, spread them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vm.h"

enum { PREFIX = 4 };

static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t x = 0;

    memcpy(&x, p, n);
    return x;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Multiply and fold, 8 bytes at a time; the secrets are odd and random. */
static uint32_t hash(const struct ld_vm *vm, const uint8_t *p, size_t n)
{
    uint64_t h = vm->secret[0] ^ n;

    for (; n > 8; p += 8, n -= 8)
        h = mix(h ^ load(p, 8), vm->secret[1]);
    return (uint32_t)mix(h ^ load(p, n), vm->secret[2]);
}

static int make_key(struct ld_vm *vm, const uint8_t *p, size_t n)
{
    uint8_t *key = ld_vm_scratch(vm, n + PREFIX);
    uint32_t h;

    if (!key)
        return LD_NOMEM;
    h = hash(vm, p, n);
    memcpy(key, &h, PREFIX);
    memcpy(key + PREFIX, p, n);
    vm->pool->result->frame = key;
    vm->pool->result->size = (uint32_t)(n + PREFIX);
    return LD_OK;
}

static int leaf_key(struct ld_vm *vm, const char *p, size_t n)
{
    return make_key(vm, (const uint8_t *)p, n);
}

static int leaf_slice_key(struct ld_vm *vm, int64_t h, uint32_t view,
                          uint32_t off, uint32_t len)
{
    int st = vm->api.slice(vm, h, view, off, len);

    return st ? st : make_key(vm, vm->pool->result->frame, len);
}

void ld_leaf_key(struct ld_vm *vm)
{
    /* Without entropy the keys still work; they are only predictable. */
    if (getrandom(vm->secret, sizeof(vm->secret), 0) < 0)
        memset(vm->secret, 0x5b, sizeof(vm->secret));
    vm->secret[1] |= 1;
    vm->secret[2] |= 1;
    vm->api.key = leaf_key;
    vm->api.slice_key = leaf_slice_key;
}
