/* vm.c -- the VM: formats, buffers, scratch memory, opening and closing. */
#include "vm.h"
#include "../conn_parts.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "gateway.h"

static const char vm_key; /* its address is the registry key */

struct ld_vm *ld_vm_of(lua_State *L)
{
    struct ld_vm **box;

    lua_pushlightuserdata(L, (void *)&vm_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return box ? *box : NULL;
}

static void free_formats(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->format_count; i++)
        ld_format_free(vm->formats[i]);
    free(vm->formats);
}

static void free_buffers(struct ld_vm *vm)
{
    for (uint32_t i = 0; i < vm->buffer_count; i++) {
        if (vm->buffers[i].chain)
            ld_chain_clear(vm->buffers[i].chain);
        free(vm->buffers[i].chain);
    }
    free(vm->buffers);
}

static void free_machines(struct ld_vm *vm)
{
    while (vm->machines) {
        struct ld_machine *m = vm->machines;

        vm->machines = m->next;
        free((void *)m->profile.timeouts);
        free(m);
    }
}

static void free_pool(struct ld_vm *vm)
{
    struct ev_loop *loop;

    if (!vm->worker) {
        ld_pool_free(vm->pool);
    } else if (vm->owns_worker) {
        ld_budget_stop(vm);
        loop = vm->worker->loop;
        ld_worker_free(vm->worker);
        ev_loop_destroy(loop);
    }
}

static int vm_gc(lua_State *L)
{
    struct ld_vm **box = lua_touserdata(L, 1), *vm = *box;

    if (!vm)
        return 0;
    *box = NULL;
    ld_vm_abort(vm);
    ld_gateway_free_ports(vm);
    ld_alarm_free_all(vm);
    free_formats(vm);
    free_buffers(vm);
    free_machines(vm);
    free(vm->scratch);
    free_pool(vm);
    free(vm->owned_log);
    free(vm);
    return 0;
}

/* A plain luajit has no worker: its pool is driven by tests alone. */
static void open_pool(lua_State *L, struct ld_vm *vm, struct ld_worker *worker)
{
    if (worker) {
        vm->pool = worker->pool;
        return;
    }
    vm->pool = ld_pool_new(NULL, vm->log);
    if (!vm->pool)
        luaL_error(L, "out of memory");
    vm->pool->now = 1;
    vm->virtual_time = true;
}

struct ld_vm *ld_vm_open(lua_State *L, struct ld_worker *worker,
                         struct ld_log *log)
{
    struct ld_vm **box, *vm;

    lua_pushlightuserdata(L, (void *)&vm_key);
    box = lua_newuserdata(L, sizeof(*box));
    *box = vm = calloc(1, sizeof(*vm));
    if (!vm)
        luaL_error(L, "out of memory");
    vm->L = L;
    vm->worker = worker;
    vm->log = log ? log : (vm->owned_log = calloc(1, sizeof(*log)));
    if (!log && vm->log)
        vm->log->level = LD_WARN;
    vm->run_ref = vm->finish_ref = vm->closed_ref = LUA_NOREF;
    vm->drain_ref = vm->task_ref = vm->news_ref = LUA_NOREF;
    vm->alarm_ref = vm->stray_ref = vm->reload_ref = LUA_NOREF;
    vm->bus_ref = vm->control_ref = LUA_NOREF;
    vm->buffer_free = UINT32_MAX;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, vm_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    open_pool(L, vm, worker);
    vm->pool->hooks =
        (struct ld_hooks){ld_task_wake,  ld_task_go_on,  ld_task_news,
                          ld_task_stray, ld_task_closed, vm};
    vm->api.vm = vm;
    vm->api.result = vm->pool->result;
    vm->api.args = vm->args;
    vm->api.refs = vm->refs;
    ld_leaf_conn(&vm->api);
    ld_leaf_bytes(&vm->api);
    ld_leaf_key(vm);
    ld_leaf_alarm(&vm->api);
    lua_newtable(L);
    vm->threads_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    vm->conns_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return vm;
}

int ld_vm_pcall(struct ld_vm *vm, lua_State *L, int count, int results)
{
    int r;

    vm->depth++;
    r = lua_pcall(L, count, results, 0);
    vm->depth--;
    return r;
}

/* The handlers' on_close is not called: their VM is going. */
void ld_vm_abort(struct ld_vm *vm)
{
    struct ld_pool *pool = vm->pool;

    vm->quiet = true;
    for (uint32_t i = 0; i < ld_pool_slots(pool); i++) {
        struct ld_conn *c = ld_pool_at(pool, i);

        if (c->phase == LD_PHASE_FREE)
            continue;
        c->reset = true;
        if (c->phase == LD_PHASE_OPEN)
            ld_conn_finish(c);
        else
            ld_conn_end_timeout(c);
    }
}

struct ld_format *ld_vm_format(const struct ld_vm *vm, uint32_t id)
{
    return id - 1 < vm->format_count ? vm->formats[id - 1] : NULL;
}

struct ld_lua_buffer *ld_vm_buffer(const struct ld_vm *vm, int64_t handle)
{
    uint32_t slot = (uint32_t)handle & ((1U << LD_BUFFER_SLOT_BITS) - 1);
    struct ld_lua_buffer *b;

    if (slot >= vm->buffer_count)
        return NULL;
    b = &vm->buffers[slot];
    return b->chain && b->generation == (uint64_t)handle >> LD_BUFFER_SLOT_BITS
               ? b
               : NULL;
}

uint8_t *ld_vm_scratch(struct ld_vm *vm, size_t size)
{
    uint8_t *grown;

    if (size <= vm->scratch_size)
        return vm->scratch;
    size = size < 4096 ? 4096 : 2 * size;
    grown = malloc(size);
    if (!grown)
        return NULL;
    free(vm->scratch);
    vm->scratch = grown;
    vm->scratch_size = size;
    return grown;
}

/* The newest one counts: a call that failed half-way leaves its own behind. */
static const struct ld_share *share_of(const struct ld_vm *vm, uint32_t arg)
{
    for (uint32_t i = vm->share_count; i-- > 0;)
        if (vm->shares[i].arg == arg)
            return &vm->shares[i];
    return NULL;
}

static enum ld_status append_arg(struct ld_vm *vm, struct ld_chain *q,
                                 uint32_t i)
{
    const struct ld_arg *a = &vm->args[i];
    const struct ld_share *s;

    if (a->kind == LD_ARG_SHARED && (s = share_of(vm, i)))
        return ld_chain_share(q, s->blob, s->off, a->len);
    return ld_chain_write(q, a->p, a->len);
}

enum ld_status ld_vm_append(struct ld_vm *vm, struct ld_chain *q,
                            uint32_t count)
{
    enum ld_status st = LD_OK;

    for (uint32_t i = 0; i < count && !st; i++)
        st = append_arg(vm, q, i);
    vm->share_count = 0;
    return st;
}

/* DST holds the encoded bytes without the shared ones; put those between. */
static enum ld_status splice(struct ld_vm *vm, struct ld_chain *q,
                             const uint8_t *dst, const struct ld_packed *done)
{
    struct ld_blob *held = ld_blob_ref(
        q->segments[q->head + q->count - 1].blob); /* while dst is read */
    enum ld_status st = LD_OK;
    size_t at = 0;

    for (uint32_t i = 0; i < done->shared_count && !st; i++) {
        size_t upto = done->shared[i].at;

        if (i == 0)
            ld_chain_commit(q, upto);
        else
            st = ld_chain_write(q, dst + at, upto - at);
        if (!st)
            st = append_arg(vm, q, done->shared[i].arg);
        at = upto;
    }
    if (!st)
        st = ld_chain_write(q, dst + at, done->size - at);
    ld_blob_unref(held);
    return st;
}

enum ld_status ld_vm_pack(struct ld_vm *vm, struct ld_chain *q,
                          const struct ld_format *f, uint32_t count)
{
    struct ld_packed done;
    uint8_t *dst = ld_chain_reserve(q, ld_pack_bound(f, vm->args, count));
    enum ld_status st;

    if (!dst)
        return LD_NOMEM;
    st = ld_pack(f, vm->args, count, dst, &done);
    if (st)
        vm->pool->result->field = done.arg;
    else if (done.shared_count == 0)
        ld_chain_commit(q, done.size);
    else
        st = splice(vm, q, dst, &done);
    vm->share_count = 0;
    return st;
}

void ld_vm_push_conn(struct ld_vm *vm, const struct ld_conn *c)
{
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, vm->conns_ref);
    lua_rawgeti(vm->L, -1, (int)c->slot + 1);
    lua_remove(vm->L, -2);
}

void ld_vm_make_table(struct ld_vm *vm, const struct ld_conn *c,
                      const struct ld_machine *machine)
{
    lua_State *L = vm->L;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->conns_ref);
    lua_createtable(L, 2, 0);
    lua_pushnumber(L, (lua_Number)ld_conn_handle(c));
    lua_rawseti(L, -2, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, machine->class_ref);
    lua_setmetatable(L, -2);
    lua_rawseti(L, -2, (int)c->slot + 1);
    lua_pop(L, 1);
}

struct ld_conn *ld_vm_connect(struct ld_vm *vm, struct ld_link link,
                              struct ld_machine *machine)
{
    struct ld_conn *c = ld_conn_new(vm->pool, link, &machine->profile);

    if (c)
        ld_vm_make_table(vm, c, machine);
    return c;
}

struct ld_conn *ld_vm_adopt(struct ld_vm *vm, struct ld_link link,
                            struct ld_machine *machine, struct ld_conn *parent)
{
    struct ld_conn *c = ld_conn_new_passive(vm->pool, link, &machine->profile);

    if (!c)
        return NULL;
    if (ld_conn_adopt(parent, c)) {
        c->link.fd = -1; /* stays the caller's */
        c->link.transport = &ld_nowhere;
        c->task = true;
        vm->pool->opened--;
        ld_conn_finish(c);
        errno = ENOMEM;
        return NULL;
    }
    ld_vm_make_table(vm, c, machine);
    return c;
}
