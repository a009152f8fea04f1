/* errand.h -- what Lua has asked for and is told about later, by a function.
 *
 * A userdata that begins with a struct ld_errand: it is kept until it is over.
 */
#ifndef LD_ERRAND_H
#define LD_ERRAND_H

#include "vm.h"

struct ld_errand {
    struct ld_vm *vm;
    int done_ref, self_ref;
};

/* E, the userdata on top of the stack, which stays there, begins; the function
 * at index FN is to be called when it is over. */
void ld_errand_begin(lua_State *L, struct ld_errand *e, int fn);

/* E is over, and its function is not called: E may be collected. */
void ld_errand_forget(struct ld_errand *e);

/* Push E's function, on the vm's state, for ld_errand_tell(). */
void ld_errand_push(struct ld_errand *e);

/* E is over, as the COUNT values above its function say.  WHAT is for the log,
 * should the function fail. */
void ld_errand_tell(struct ld_errand *e, int count, const char *what);

/* Push nil, the name of ST and MESSAGE, which may be NULL: 3 values. */
int ld_errand_failure(lua_State *L, enum ld_status st, const char *message);

#endif
