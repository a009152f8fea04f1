/* supervisor_parts.h -- what the files of the supervisor know of each other. */
#ifndef LD_SUPERVISOR_PARTS_H
#define LD_SUPERVISOR_PARTS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "arbiter.h"
#include "outbox.h"
#include "supervisor.h"

enum { LD_RESTARTS_MAX = 10 };

enum ld_worker_state { LD_WORKER_NONE, LD_WORKER_STARTING, LD_WORKER_READY };

struct ld_process {
    enum ld_worker_state state;
    uint32_t slot, incarnation;
    uint32_t keeper; /* slot that watches this one's sockets; 0: none */
    pid_t pid;
    int control; /* -1: none, or nothing will come of it any more */
    struct ld_outbox outbox;
    double heard;   /* when it last said something */
    double fork_at; /* without a process: when to start one */
    bool slow;      /* has been silent for half of the heartbeat */
    bool killed;
};

enum ld_supervisor_phase { LD_SERVING, LD_DRAINING, LD_STOPPING };

struct ld_supervisor {
    const struct ld_plan *plan;
    const struct ld_supervisor_ops *ops;
    void *ctx;
    struct ld_log log;
    enum ld_supervisor_phase phase;
    int status;      /* to exit with */
    double deadline; /* while it stops: when whoever is left is killed */
    pid_t pid;
    int signals;                /* signalfd */
    sigset_t former_mask;       /* of signals */
    uint32_t slots;             /* workers */
    struct ld_process *workers; /* by slot - 1 */
    int *sockets;               /* as in struct ld_seat */
    int *inboxes, *outboxes;
    struct ld_arbiter *arbiter;
    double restarts[LD_RESTARTS_MAX]; /* when; a ring */
    unsigned restart_count;
    bool was_ready; /* some worker has been */
    double next_ping, last_tick;
};

/* Seconds on the monotonic clock. */
double ld_supervisor_now(void);

/* supervisor_sockets.c: make all sockets; false when that failed, which is
 * logged.  Closing the listeners refuses clients from now on. */
bool ld_supervisor_open(struct ld_supervisor *s);
void ld_supervisor_close_listeners(struct ld_supervisor *s);
void ld_supervisor_close(struct ld_supervisor *s);

/* supervisor_worker.c */

/* Start a worker in W's slot; tries later again when that fails. */
void ld_supervisor_fork(struct ld_supervisor *s, struct ld_process *w);
void ld_supervisor_reap(struct ld_supervisor *s);
/* See to it that the sockets of every slot are watched by somebody. */
void ld_supervisor_assign(struct ld_supervisor *s);
/* What is due by time: pings, workers that hang, workers to start. */
void ld_supervisor_tick(struct ld_supervisor *s, double now);
void ld_supervisor_kill(struct ld_supervisor *s, struct ld_process *w,
                        const char *why);
/* End every worker at once. */
void ld_supervisor_stop(struct ld_supervisor *s);

/* supervisor_talk.c */

void ld_supervisor_send(struct ld_supervisor *s, struct ld_process *w,
                        const void *p, size_t n);
/* The order KIND, an enum ld_control, about SLOT. */
void ld_supervisor_order(struct ld_supervisor *s, struct ld_process *w,
                         int kind, uint32_t slot);
/* All that a new worker has to know. */
void ld_supervisor_send_state(struct ld_supervisor *s, struct ld_process *w);
/* The arbiter's sender; CTX is the supervisor. */
void ld_supervisor_pass_on(void *ctx, uint32_t slot, const void *p, size_t n);
/* Read what W has to say. */
void ld_supervisor_listen(struct ld_supervisor *s, struct ld_process *w);

#endif
