/* supervisor_worker.c -- the life of worker processes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "activation.h"
#include "supervisor_parts.h"

static const double START_SECONDS = 60;  /* until a worker must be ready */
static const double RESTART_WINDOW = 60; /* seconds, for LD_RESTARTS_MAX */
static const double FORK_PAUSE = 1;      /* seconds, when fork() fails */

static void ignore_signal(int number)
{
    (void)number;
}

/* A terminal or a service manager may signal the whole group; what is to be
 * done is the supervisor's to say.  A handler, unlike SIG_IGN, is not passed
 * on to programs that a handler in Lua starts. */
static void leave_signals(const struct ld_supervisor *s)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR2};
    struct sigaction action = {.sa_handler = ignore_signal,
                               .sa_flags = SA_RESTART};

    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &action, NULL);
    sigprocmask(SIG_SETMASK, &s->former_mask, NULL);
}

/* What is the supervisor's alone; of a reload that is under way, too. */
static void leave_files(const struct ld_supervisor *s)
{
    const int fds[] = {s->signals, s->reload.out, s->reload.err, s->watch.fd};

    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

void ld_supervisor_leave(struct ld_supervisor *s)
{
    leave_files(s);
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->workers[i].control >= 0)
            close(s->workers[i].control);
    leave_signals(s);
}

static void close_others(struct ld_supervisor *s, const struct ld_process *w)
{
    for (uint32_t i = 0; i < s->slots; i++)
        if (i != w->slot - 1)
            close(s->inboxes[i]);
}

/* From here on there is nothing left that needs the privileges of the
 * supervisor: not even the config is evaluated with them. */
static void confine(const struct ld_supervisor *s, const struct ld_process *w)
{
    char why[256];

    if (ld_confine(&s->plan->confinement, why, sizeof(why)))
        return;
    ld_log(&s->log, LD_FAULT, "cannot start a worker", "worker=%u error=\"%s\"",
           w->slot, why);
    _exit(1);
}

static void run_child(struct ld_supervisor *s, struct ld_process *w,
                      int control)
{
    struct ld_seat seat = {.slot = w->slot,
                           .incarnation = w->incarnation,
                           .slots = s->slots,
                           .listeners = s->plan->listener_count,
                           .sockets = s->sockets,
                           .control = control,
                           .inbox = s->inboxes[w->slot - 1],
                           .outboxes = s->outboxes,
                           .plan = s->plan->text,
                           .plan_size = s->plan->size,
                           .version = s->version};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != s->pid)
        _exit(1);
    close_others(s, w);
    ld_supervisor_leave(s);
    ld_activation_close(s->activated);
    confine(s, w);
    exit(s->ops->work(s->ctx, &seat));
}

static void fork_failed(struct ld_supervisor *s, struct ld_process *w)
{
    ld_log(&s->log, LD_FAULT, "cannot start a worker", "worker=%u error=\"%s\"",
           w->slot, strerror(errno));
    w->fork_at = ld_supervisor_now() + FORK_PAUSE;
}

void ld_supervisor_fork(struct ld_supervisor *s, struct ld_process *w)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   pair) < 0) {
        fork_failed(s, w);
        return;
    }
    w->control = pair[0];
    w->incarnation++;
    ld_supervisor_send_state(s, w);
    w->pid = fork();
    if (w->pid == 0)
        run_child(s, w, pair[1]);
    close(pair[1]);
    if (w->pid > 0) {
        w->state = LD_WORKER_STARTING;
        w->slow = w->killed = false;
        w->heard = ld_supervisor_now();
        return;
    }
    w->pid = 0;
    fork_failed(s, w);
    close(w->control);
    w->control = -1;
    ld_outbox_clear(&w->outbox);
}

void ld_supervisor_kill(struct ld_supervisor *s, struct ld_process *w,
                        const char *why)
{
    if (w->pid == 0 || w->killed)
        return;
    ld_log(&s->log, LD_FAULT, "worker killed", "worker=%u pid=%d why=\"%s\"",
           w->slot, (int)w->pid, why);
    w->killed = true;
    kill(w->pid, SIGKILL);
}

static bool is_well(const struct ld_process *w)
{
    return w->state == LD_WORKER_READY && !w->slow && !w->killed;
}

/* The worker that watches the sockets of SLOT besides its own: the next one
 * that is well, so that two slots are not one worker's if it can be helped. */
static uint32_t keeper_for(const struct ld_supervisor *s, uint32_t slot)
{
    for (uint32_t i = 0; i < s->slots - 1; i++) {
        const struct ld_process *w = &s->workers[(slot + i) % s->slots];

        if (is_well(w))
            return w->slot;
    }
    return 0;
}

void ld_supervisor_assign(struct ld_supervisor *s)
{
    for (uint32_t i = 0; i < s->slots; i++) {
        struct ld_process *w = &s->workers[i];
        uint32_t keeper = 0;

        if (!is_well(w) && s->phase == LD_SERVING)
            keeper = w->keeper && is_well(&s->workers[w->keeper - 1])
                         ? w->keeper
                         : keeper_for(s, w->slot);
        if (keeper == w->keeper)
            continue;
        if (w->keeper)
            ld_supervisor_order(s, &s->workers[w->keeper - 1],
                                LD_CONTROL_UNWATCH, w->slot);
        if (keeper)
            ld_supervisor_order(s, &s->workers[keeper - 1], LD_CONTROL_WATCH,
                                w->slot);
        w->keeper = keeper;
    }
}

/* Is that how a worker ends that was told to? */
static bool is_expected(const struct ld_supervisor *s,
                        const struct ld_process *w, int status)
{
    return (s->phase != LD_SERVING || w->state == LD_WORKER_DRAINING) &&
           (status == 0 || w->killed);
}

static void say_died(const struct ld_supervisor *s, const struct ld_process *w,
                     int status, bool expected)
{
    enum ld_level level = expected ? LD_DEBUG : LD_FAULT;

    if (WIFSIGNALED(status))
        ld_log(&s->log, level, "worker died",
               "worker=%u pid=%d signal=%d reason=\"%s\"", w->slot, (int)w->pid,
               WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        ld_log(&s->log, level, "worker died", "worker=%u pid=%d exit=%d",
               w->slot, (int)w->pid, WEXITSTATUS(status));
}

static void give_up(struct ld_supervisor *s, const char *why)
{
    ld_log(&s->log, LD_FAULT, "giving up", "why=\"%s\"", why);
    s->status = 1;
    ld_supervisor_stop(s);
}

/* May one more worker be started now? */
static bool may_restart(struct ld_supervisor *s, double now)
{
    double *oldest = &s->restarts[s->restart_count % LD_RESTARTS_MAX];

    if (s->restart_count >= LD_RESTARTS_MAX && now - *oldest < RESTART_WINDOW)
        return false;
    *oldest = now;
    s->restart_count++;
    return true;
}

/* A config whose workers refuse it in the beginning would be refused ever
 * after. */
static void replace(struct ld_supervisor *s, struct ld_process *w, int status,
                    bool expected)
{
    double now = ld_supervisor_now();

    if (expected)
        ld_supervisor_fork(s, w);
    else if (!s->was_ready && WIFEXITED(status))
        give_up(s, "a worker could not start");
    else if (!may_restart(s, now))
        give_up(s, "more than 10 restarts in 60 seconds");
    else
        ld_supervisor_fork(s, w);
}

/* First of all somebody else takes its clients. */
static void buried(struct ld_supervisor *s, struct ld_process *w, int status)
{
    bool expected = is_expected(s, w, status);

    say_died(s, w, status, expected);
    if (w->control >= 0)
        close(w->control);
    w->control = -1;
    ld_outbox_clear(&w->outbox);
    w->state = LD_WORKER_NONE;
    w->pid = 0;
    ld_supervisor_assign(s);
    ld_arbiter_down(s->arbiter, w->slot);
    ld_supervisor_reload_lost(s, w);
    if (s->phase == LD_SERVING)
        replace(s, w, status, expected);
    else if (!expected)
        s->status = 1;
}

void ld_supervisor_reap(struct ld_supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->reload.child)
            ld_supervisor_planned(s, status);
        else if (pid == s->heir)
            ld_supervisor_heir_died(s, status);
        for (uint32_t i = 0; i < s->slots; i++)
            if (s->workers[i].pid == pid)
                buried(s, &s->workers[i], status);
    }
}

static void look_at(struct ld_supervisor *s, struct ld_process *w, double now)
{
    double silence = now - w->heard, most = s->plan->heartbeat;

    if (w->state == LD_WORKER_DRAINING && now > w->deadline)
        ld_supervisor_kill(s, w, "it does not stop");
    if (w->state >= LD_WORKER_READY) {
        w->slow = silence > most / 2;
        if (silence > most)
            ld_supervisor_kill(s, w, "no answer");
    } else if (silence > (most > START_SECONDS ? most : START_SECONDS)) {
        ld_supervisor_kill(s, w, "it does not become ready");
    }
}

/* After a sleep of the supervisor itself, nobody's silence means anything. */
void ld_supervisor_tick(struct ld_supervisor *s, double now)
{
    bool slept = now - s->last_tick > s->plan->heartbeat / 2;
    bool pings = now >= s->next_ping;

    s->last_tick = now;
    if (pings)
        s->next_ping = now + s->plan->heartbeat / 3;
    for (uint32_t i = 0; i < s->slots; i++) {
        struct ld_process *w = &s->workers[i];

        if (w->pid == 0) {
            if (s->phase == LD_SERVING && now >= w->fork_at)
                ld_supervisor_fork(s, w);
            continue;
        }
        if (slept)
            w->heard = now;
        look_at(s, w, now);
        if (pings && w->state >= LD_WORKER_READY)
            ld_supervisor_order(s, w, LD_CONTROL_PING, 0);
    }
}
