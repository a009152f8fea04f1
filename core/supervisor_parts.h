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

enum ld_worker_state {
    LD_WORKER_NONE,
    LD_WORKER_STARTING,
    LD_WORKER_READY,
    LD_WORKER_DRAINING /* alone: another one is to take its place */
};

struct ld_process {
    enum ld_worker_state state;
    uint32_t slot, incarnation;
    uint32_t keeper; /* slot that watches this one's sockets; 0: none */
    pid_t pid;
    int control; /* -1: none, or nothing will come of it any more */
    struct ld_outbox outbox;
    double heard;    /* when it last said something */
    double fork_at;  /* without a process: when to start one */
    double deadline; /* while it drains */
    bool slow;       /* has been silent for half of the heartbeat */
    bool killed;
    bool prepared; /* for the plan to come */
};

/* Text that grows; NUL-terminated. */
struct ld_text_of {
    char *p;
    size_t size;
};

enum ld_reload_phase {
    LD_RELOAD_NONE,
    LD_RELOAD_CONFIRMING, /* it holds, until it is not confirmed in time */
    LD_RELOAD_PLANNING,   /* a child evaluates the config */
    LD_RELOAD_WAITING,    /* until all workers are ready */
    LD_RELOAD_PREPARING,  /* they load it */
    LD_RELOAD_TRYING      /* some new connections have it */
};

/* What is wanted of a reload: the worker in SLOT (0: nobody) is told what came
 * of it, as an answer to REQUEST. */
struct ld_wish {
    uint32_t slot, request;
    enum ld_reload_how how;
    uint32_t share, seconds;
};

struct ld_reload {
    enum ld_reload_phase phase;
    struct ld_wish wish;
    pid_t child;
    int out, err; /* what it writes, a plan, and what it says */
    struct ld_text_of text, words;
    double deadline;
    struct ld_plan *next; /* while it is to be confirmed: what was before */
    uint32_t version;     /* of NEXT */
    bool back;            /* NEXT is what was before */
    bool is_told;         /* to a service manager, which waits for its end */
    int *sockets;         /* of NEXT, as in struct ld_seat */
};

struct ld_watch {
    int fd;     /* of inotify, or -1 */
    double due; /* when to reload, as something has changed; 0: nothing has */
};

enum ld_supervisor_phase { LD_SERVING, LD_DRAINING, LD_STOPPING };

struct ld_supervisor {
    struct ld_plan *plan;  /* that holds */
    uint32_t version;      /* its number, from 1 */
    uint32_t last_version; /* of those that some connection may have had */
    struct ld_reload reload;
    struct ld_watch watch;
    pid_t heir; /* that is to take our place, or 0 */
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
    unsigned activated;         /* sockets of a service manager */
    int *inboxes, *outboxes;
    struct ld_arbiter *arbiter;
    double restarts[LD_RESTARTS_MAX]; /* when; a ring */
    unsigned restart_count;
    bool was_ready;  /* some worker has been */
    bool told_ready; /* all have, which was told */
    double next_ping, last_tick;
};

/* Seconds on the monotonic clock. */
double ld_supervisor_now(void);

/* supervisor_sockets.c: make all sockets; false when that failed, which is
 * logged.  Closing the listeners, ALL or those that do not stay while it
 * drains, refuses clients from now on. */
bool ld_supervisor_open(struct ld_supervisor *s);
void ld_supervisor_close_listeners(struct ld_supervisor *s, bool all);
/* Close the sockets of L: copies of what others listen on; with its file; or
 * for workers, too, which have copies. */
enum ld_closing { LD_CLOSE_COPIES, LD_CLOSE_OWN, LD_CLOSE_FOR_ALL };
void ld_supervisor_close_listener(const struct ld_supervisor *s,
                                  const struct ld_plan_listener *l,
                                  int *sockets, enum ld_closing how);
/* Bind what L says, but the first COUNT of SOCKETS, which there are: a socket
 * for each slot; false with errno. */
bool ld_supervisor_bind(struct ld_supervisor *s,
                        const struct ld_plan_listener *l, int *sockets,
                        uint32_t count);
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
/* A child of this process gives up what is the supervisor's alone. */
void ld_supervisor_leave(struct ld_supervisor *s);
/* Let connections finish, then exit.  HANDED_OVER: others listen on the sockets
 * from now on. */
void ld_supervisor_drain(struct ld_supervisor *s, bool handed_over,
                         uint32_t seconds);
void ld_supervisor_drain_worker(struct ld_supervisor *s, struct ld_process *w,
                                uint32_t seconds);

/* supervisor_change.c: find or make the sockets of the plan to come; false with
 * WHY.  Give W the new ones.  Close those of plan P that the plan that holds
 * does not have; SOCKETS may be NULL. */
bool ld_supervisor_find_sockets(struct ld_supervisor *s, char *why,
                                size_t size);
void ld_supervisor_send_sockets(struct ld_supervisor *s, struct ld_process *w);
void ld_supervisor_close_unused(const struct ld_supervisor *s,
                                const struct ld_plan *p, int *sockets);

/* supervisor_watch.c: watch the files of the plan that holds, if it says so. */
void ld_supervisor_watch(struct ld_supervisor *s);
void ld_supervisor_watch_read(struct ld_supervisor *s);
void ld_supervisor_watch_tick(struct ld_supervisor *s, double now);

/* supervisor_upgrade.c */

/* Start the program anew, to take our place. */
void ld_supervisor_upgrade(struct ld_supervisor *s);
void ld_supervisor_heir_died(struct ld_supervisor *s, int status);
/* In that one: put the sockets for L that there are into SOCKETS: how many;
 * nobody asks any more; all workers are ready: the former one may go. */
uint32_t ld_supervisor_inherit(const struct ld_supervisor *s,
                               const struct ld_plan_listener *l, int *sockets);
void ld_supervisor_inherited(void);
void ld_supervisor_take_over(void);

/* supervisor_reload.c */

void ld_supervisor_reload_init(struct ld_supervisor *s);
/* Are all workers? */
bool ld_supervisor_are_ready(const struct ld_supervisor *s);
/* Have the config evaluated again. */
void ld_supervisor_reload(struct ld_supervisor *s, const struct ld_wish *w);
/* The steps of a reload that others take, too: nobody is told more than WHY it
 * is refused, or that it holds. */
void ld_supervisor_reload_answer(struct ld_supervisor *s, uint32_t version,
                                 const char *text);
void ld_supervisor_reload_answer_at_once(struct ld_supervisor *s,
                                         const struct ld_wish *w,
                                         const char *text);
void ld_supervisor_reload_refuse(struct ld_supervisor *s, const char *why);
void ld_supervisor_reload_await_workers(struct ld_supervisor *s);
void ld_supervisor_reload_commit(struct ld_supervisor *s);
void ld_supervisor_reload_forget(struct ld_supervisor *s);
/* The child that evaluates it has something to say, or has ended. */
void ld_supervisor_reload_read(struct ld_supervisor *s);
void ld_supervisor_planned(struct ld_supervisor *s, int status);
/* W says that it has prepared, or why not, in N bytes at P; or has died. */
void ld_supervisor_prepared(struct ld_supervisor *s, struct ld_process *w,
                            const uint8_t *p, size_t n);
void ld_supervisor_reload_lost(struct ld_supervisor *s,
                               const struct ld_process *w);
void ld_supervisor_reload_tick(struct ld_supervisor *s, double now);

/* supervisor_verdict.c: a version that is on trial, or is to be confirmed. */

/* All workers have prepared it: try it out. */
void ld_supervisor_try(struct ld_supervisor *s);
/* It holds, but FORMER comes back unless somebody confirms it. */
void ld_supervisor_await_confirmation(struct ld_supervisor *s,
                                      const struct ld_wish *w,
                                      struct ld_plan *former);
/* The verdict, GOOD, or WHY not, comes from W. */
void ld_supervisor_judge(struct ld_supervisor *s, const struct ld_wish *w,
                         bool good, const char *why);
/* Nobody said anything in time, or the gateway stops. */
void ld_supervisor_judge_late(struct ld_supervisor *s);

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
