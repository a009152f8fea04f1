/* gateway.h -- what the parts of a gateway tell each other. */
#ifndef LD_GATEWAY_H
#define LD_GATEWAY_H

#include "vm.h"

/* C has closed: count it out of its listener. */
void ld_gateway_conn_closed(struct ld_vm *vm, const struct ld_conn *c);

/* Stop listening, for good. */
void ld_gateway_close_ports(struct ld_vm *vm);
void ld_gateway_free_ports(struct ld_vm *vm);

#endif
