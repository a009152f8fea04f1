/* supervisor.h -- the process that keeps worker processes alive.
 *
 * It holds the listening sockets, the names and the files that workers load,
 * and never runs Lua, a thread or a loop of libev.  What a child process does
 * is up to the caller, in functions that are called in the child.
 */
#ifndef LD_SUPERVISOR_H
#define LD_SUPERVISOR_H

#include "plan.h"
#include "seat.h"

struct ld_supervisor_ops {
    /* In a short-lived child: write a plan to FD; returns its exit status.
     * FORMER is the one that holds, in a gateway that runs, or NULL. */
    int (*plan)(void *ctx, int fd, const struct ld_plan *former);
    /* In a child: execute the program anew; returns when that failed. */
    void (*again)(void *ctx);
    /* In a worker: serve until told to stop; returns its exit status. */
    int (*work)(void *ctx, const struct ld_seat *seat);
};

/* The plan that a child makes; or NULL, with *STATUS what the program should
 * exit with: the child has said why. */
struct ld_plan *ld_supervisor_plan(const struct ld_supervisor_ops *ops,
                                   void *ctx, int *status);

/* Without workers: the sockets of PLAN's listeners, in their order, among them
 * those of ACTIVATED that a service manager passed; NULL when that failed,
 * which is logged.  Close those that are left, not -1, and free SOCKETS. */
int *ld_supervisor_bind_alone(struct ld_plan *plan, unsigned activated);
void ld_supervisor_close_alone(struct ld_plan *plan, unsigned activated,
                               int *sockets);

/* Bind what PLAN says, which is taken over, start its workers, and serve until
 * a signal says to stop.  SIGHUP has the plan made again, SIGUSR2
 * has another program take our place.  Returns the exit
 * status.  Takes SIGTERM, SIGINT, SIGQUIT, SIGHUP and SIGCHLD. */
int ld_supervise(struct ld_plan *plan, const struct ld_supervisor_ops *ops,
                 void *ctx);

#endif
