/* gateway.h -- what the parts of a gateway tell each other. */
#ifndef LD_GATEWAY_H
#define LD_GATEWAY_H

#include "role.h"
#include "vm.h"

/* The role of the gateway that owns L. */
const struct ld_role *ld_gateway_role(lua_State *L);

/* The VM of L; raises when there is no gateway. */
struct ld_vm *ld_gateway_vm(lua_State *L);

/* Have `require` find the Lua half that is built in, and linedancer.core. */
void ld_gateway_preload_modules(lua_State *L);

/* Accept on all ports that are not full. */
void ld_gateway_heed_ports(struct ld_vm *vm);

/* C has closed: count it out of its listener. */
void ld_gateway_conn_closed(struct ld_vm *vm, const struct ld_conn *c);

/* Accept on the sockets of another worker's SLOT too, or no more. */
void ld_gateway_watch(struct ld_vm *vm, uint32_t slot, bool on);

/* The supervisor gives the socket FD, which is taken over; see struct
 * ld_given. */
void ld_gateway_give(struct ld_vm *vm, uint32_t listener, uint32_t slot,
                     int fd);

/* lib_bus.c: hand what came in to Lua. */
void ld_bus_to_lua(struct ld_vm *vm, uint32_t slot, uint32_t incarnation,
                   const void *p, size_t n);
void ld_control_to_lua(struct ld_vm *vm, const void *p, size_t n);

/* Stop listening, for good. */
void ld_gateway_close_ports(struct ld_vm *vm);
void ld_gateway_free_ports(struct ld_vm *vm);
/* The same, with those that stay while the gateway drains. */
void ld_gateway_leave_ports(struct ld_vm *vm);

/* In a child of the process: close the sockets that it has inherited of VM, and
 * do nothing else. */
void ld_gateway_forget_ports(struct ld_vm *vm);

#endif
