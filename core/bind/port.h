/* port.h -- a listener of the gateway, and what it is for. */
#ifndef LD_PORT_H
#define LD_PORT_H

#include "../network.h"
#include "gateway.h"

/* A worker has a socket of each slot and
 * accepts on its own, and on those of workers that cannot. */
struct ld_port {
    struct ld_listener **listeners; /* NULL: none, or not opened yet */
    bool *watched;                  /* those to accept on */
    uint32_t count;                 /* of both: slots, or 1 */
    struct ld_machine *machine;
    struct ld_machine *trial; /* for some of the clients, or NULL */
    uint32_t share, credit;   /* of those, in thousandths */
    struct ld_vm *vm;
    uint32_t max, open; /* connections, and those whose handshake is not over */
    struct ld_tls_context *tls; /* NULL: plain */
    bool on_demand;             /* it begins plain: see lib_secure.c */
    double patience;            /* seconds for a handshake */
    struct ld_network *proxies; /* who must say whom they are for; or NULL */
    size_t proxy_count;
    bool direct; /* and others need not */
    uint16_t index;
    bool paused; /* as it is full */
    bool held;   /* as somebody said so */
    bool exempt; /* from limits for all, and from draining */
};

bool ld_port_is_full(const struct ld_port *port);

/* Has it changed whether PORT is full?  If so, it is paused or not. */
bool ld_port_look(struct ld_port *port);

/* Accept on what is to be watched, unless PORT is full. */
void ld_port_heed(struct ld_port *port);

/* The same for all ports of VM: a full one lets its clients wait in the
 * kernel's queue. */
void ld_port_heed_limits(struct ld_vm *vm);

#endif
