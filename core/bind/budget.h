/* budget.h -- how much memory a worker may use, and what happens beyond.
 *
 * Lua's heap, with a watchdog: a turn that grows it beyond the limit gets no
 * more memory, and its connection ends with the error `limit`; those that need
 * little go on, in an eighth more.  All memory of the process: while it is over
 * the limit, the connections with most unread and unsent bytes are reset, one
 * after the other, and buffers of more than LD_HIGH_WATER bytes do not grow.
 */
#ifndef LD_BUDGET_H
#define LD_BUDGET_H

#include "vm.h"

/* How its message begins; see linedancer.errors. */
#define LD_BUDGET_SPENT "more memory is used than limits.memory allows"

/* VM may use BYTES; 0: any number. */
void ld_budget_limit(struct ld_vm *vm, double bytes);

/* Look whether VM uses more, and act on it. */
void ld_budget_check(struct ld_vm *vm);

/* Lua runs; it is back: true if it was refused memory. */
void ld_budget_begin(struct ld_vm *vm);
bool ld_budget_end(struct ld_vm *vm);

/* Collect garbage, for a moment; where no Lua runs. */
void ld_budget_collect(struct ld_vm *vm);

/* Bytes of memory that this process has taken, Lua's among them; in a host,
 * those of VM. */
double ld_budget_used(const struct ld_vm *vm);

/* Stop looking. */
void ld_budget_stop(struct ld_vm *vm);

#endif
