/* role.h -- what a gateway of the program is in its process.
 *
 * Knows nothing of Lua: for main.c.
 */
#ifndef LD_ROLE_H
#define LD_ROLE_H

#include "../bus.h"

struct ld_gateway;
struct ld_plan;

enum ld_role_kind {
    LD_ROLE_ALONE, /* all there is */
    LD_ROLE_PLAN,  /* only there to write a plan to plan_fd; see plan.h */
    LD_ROLE_WORKER /* one of several, in a seat */
};

struct ld_role {
    enum ld_role_kind kind;
    bool watchdog;      /* this process has but this gateway */
    unsigned activated; /* alone: sockets of a service manager */
    /* Alone in the program, which has given up what it may take to bind and to
       read files: what it serves, and what was bound for its listeners, -1:
       taken.  Else NULL. */
    const struct ld_plan *plan;
    int *sockets;
    int plan_fd;
    const struct ld_plan *former; /* that holds while LD_ROLE_PLAN, or NULL */
    const struct ld_seat *seat;   /* borrowed */
    struct ld_bus *bus;           /* of a worker; the gateway's */
};

/* A gateway that logs to standard error, as ROLE says.  NULL with errno set;
 * free with ld_gateway_free(). */
struct ld_gateway *ld_gateway_new_as(const struct ld_role *role);

#endif
