/* task_parts.h -- what the files of task.c know of each other. */
#ifndef LD_TASK_PARTS_H
#define LD_TASK_PARTS_H

#include "gateway.h"

static inline struct ld_machine *ld_task_machine(const struct ld_conn *c)
{
    return (struct ld_machine *)(void *)c->profile;
}

/* C's coroutine is left to the collector. */
void ld_task_drop_thread(struct ld_vm *vm, struct ld_conn *c);

/* The handler is done with C.  On top of vm->L: an error value or a status
 * name, or nil; a traceback or nil; a field or nil.  All are taken. */
void ld_task_finish(struct ld_vm *vm, struct ld_conn *c);

/* lua_pcall() of code that runs hooks of handlers, for whatever it returns. */
int ld_task_call(lua_State *L, int nargs);

#endif
