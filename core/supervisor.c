/* supervisor.c -- see supervisor.h: signals, and the wait for what happens. */
#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "activation.h"
#include "notify.h"
#include "supervisor_parts.h"

static const double STOP_SECONDS = 1;   /* until a worker told to is killed */
static const double DRAIN_SPARE = 10;   /* more than connections are given */
static const double LONGEST_WAIT = 0.5; /* seconds between two looks around */

double ld_supervisor_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void order_all(struct ld_supervisor *s, int kind)
{
    for (uint32_t i = 0; i < s->slots; i++)
        ld_supervisor_order(s, &s->workers[i], kind, 0);
}

void ld_supervisor_stop(struct ld_supervisor *s)
{
    s->phase = LD_STOPPING;
    ld_supervisor_close_listeners(s, true);
    order_all(s, LD_CONTROL_STOP);
    s->deadline = ld_supervisor_now() + STOP_SECONDS;
}

static void stop_at_once(struct ld_supervisor *s)
{
    if (s->phase == LD_STOPPING)
        return;
    ld_log(&s->log, LD_WARN, "stopping now", "workers=%u", s->slots);
    ld_supervisor_stop(s);
}

/* A service manager may listen only to the process that it knows: to us. */
static void name_heir(const struct ld_supervisor *s)
{
    char text[32];

    snprintf(text, sizeof(text), "MAINPID=%d", (int)s->heir);
    ld_notify(text);
}

static void hand_over(struct ld_supervisor *s)
{
    name_heir(s);
    order_all(s, LD_CONTROL_LEAVE);
    for (uint32_t i = 0; i < s->plan->listener_count; i++)
        ld_supervisor_close_listener(s, &s->plan->listeners[i],
                                     &s->sockets[i * s->slots],
                                     LD_CLOSE_COPIES);
}

static double drain_seconds(const struct ld_supervisor *s, uint32_t seconds)
{
    return seconds == LD_DRAIN_DEFAULT ? s->plan->drain : seconds;
}

static void order_drain(struct ld_supervisor *s, struct ld_process *w,
                        uint32_t seconds)
{
    uint8_t m[5] = {LD_CONTROL_DRAIN};

    ld_control_put(m + 1, seconds, 4);
    ld_supervisor_send(s, w, m, sizeof(m));
    w->deadline = ld_supervisor_now() + drain_seconds(s, seconds) + DRAIN_SPARE;
}

/* First of all somebody else takes its clients. */
void ld_supervisor_drain_worker(struct ld_supervisor *s, struct ld_process *w,
                                uint32_t seconds)
{
    if (w->state != LD_WORKER_READY)
        return;
    w->state = LD_WORKER_DRAINING;
    ld_log(&s->log, LD_INFO, "draining", "worker=%u seconds=%g", w->slot,
           drain_seconds(s, seconds));
    ld_supervisor_assign(s);
    ld_supervisor_order(s, w, LD_CONTROL_LEAVE, 0);
    order_drain(s, w, seconds);
}

void ld_supervisor_drain(struct ld_supervisor *s, bool handed_over,
                         uint32_t seconds)
{
    s->phase = LD_DRAINING;
    if (handed_over) {
        hand_over(s);
    } else {
        ld_notify("STOPPING=1");
        ld_supervisor_close_listeners(s, false);
    }
    ld_log(&s->log, LD_INFO, "draining", "workers=%u seconds=%g", s->slots,
           drain_seconds(s, seconds));
    for (uint32_t i = 0; i < s->slots; i++)
        order_drain(s, &s->workers[i], seconds);
    s->deadline = ld_supervisor_now() + drain_seconds(s, seconds) + DRAIN_SPARE;
}

/* SENDER is the process that sent it. */
static void heed_signal(struct ld_supervisor *s, uint32_t number, pid_t sender)
{
    switch (number) {
    case SIGCHLD: ld_supervisor_reap(s); break;
    case SIGHUP: ld_supervisor_reload(s, &(struct ld_wish){0}); break;
    case SIGUSR2: ld_supervisor_upgrade(s); break;
    case SIGQUIT: stop_at_once(s); break;
    default: /* SIGTERM, SIGINT */
        if (s->phase == LD_SERVING)
            ld_supervisor_drain(s, s->heir && sender == s->heir,
                                LD_DRAIN_DEFAULT);
        else
            stop_at_once(s);
    }
}

static void read_signals(struct ld_supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof(info)) == sizeof(info))
        heed_signal(s, info.ssi_signo, (pid_t)info.ssi_pid);
}

static bool take_signals(struct ld_supervisor *s)
{
    static const int signals[] = {SIGTERM, SIGINT,  SIGQUIT,
                                  SIGHUP,  SIGUSR2, SIGCHLD};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, &s->former_mask);
    s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signals >= 0;
}

static double wait_seconds(const struct ld_supervisor *s)
{
    double most = s->plan->heartbeat / 6;

    if (most > LONGEST_WAIT)
        most = LONGEST_WAIT;
    return most > 0.01 ? most : 0.01;
}

/* Wait for what happens, FDS being room for all descriptors. */
static void serve_once(struct ld_supervisor *s, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = s->signals, .events = POLLIN};
    fds[s->slots + 1] = (struct pollfd){.fd = s->reload.out, .events = POLLIN};
    fds[s->slots + 2] = (struct pollfd){.fd = s->reload.err, .events = POLLIN};
    fds[s->slots + 3] = (struct pollfd){.fd = s->watch.fd, .events = POLLIN};
    for (uint32_t i = 0; i < s->slots; i++) {
        const struct ld_process *w = &s->workers[i];

        fds[i + 1] = (struct pollfd){.fd = w->control, .events = POLLIN};
        if (ld_outbox_waits(&w->outbox))
            fds[i + 1].events |= POLLOUT;
    }
    if (poll(fds, s->slots + 4, (int)(wait_seconds(s) * 1000)) < 0)
        return;
    for (uint32_t i = 0; i < s->slots; i++) {
        struct ld_process *w = &s->workers[i];

        if (fds[i + 1].revents & POLLOUT)
            ld_outbox_flush(&w->outbox);
        if (fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
            ld_supervisor_listen(s, w);
    }
    if (fds[s->slots + 1].revents || fds[s->slots + 2].revents)
        ld_supervisor_reload_read(s);
    if (fds[s->slots + 3].revents)
        ld_supervisor_watch_read(s);
    if (fds[0].revents)
        read_signals(s);
}

static bool has_workers(const struct ld_supervisor *s)
{
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->workers[i].pid)
            return true;
    return false;
}

static void kill_all(struct ld_supervisor *s)
{
    for (uint32_t i = 0; i < s->slots; i++)
        ld_supervisor_kill(s, &s->workers[i], "it does not stop");
}

static void serve(struct ld_supervisor *s, struct pollfd *fds)
{
    s->last_tick = ld_supervisor_now();
    for (uint32_t i = 0; i < s->slots; i++)
        ld_supervisor_fork(s, &s->workers[i]);
    while (s->phase == LD_SERVING || has_workers(s)) {
        double now;

        serve_once(s, fds);
        now = ld_supervisor_now();
        ld_supervisor_tick(s, now);
        ld_supervisor_reload_tick(s, now);
        ld_supervisor_watch_tick(s, now);
        if (s->phase != LD_SERVING && now >= s->deadline)
            kill_all(s);
        ld_supervisor_assign(s);
    }
}

static void init_workers(struct ld_supervisor *s)
{
    for (uint32_t i = 0; i < s->slots; i++) {
        s->workers[i].slot = i + 1;
        s->workers[i].control = -1;
        ld_outbox_init(&s->workers[i].outbox, -1, 0);
    }
}

int ld_supervise(struct ld_plan *plan, const struct ld_supervisor_ops *ops,
                 void *ctx)
{
    struct ld_supervisor s = {.plan = plan,
                              .version = 1,
                              .last_version = 1,
                              .ops = ops,
                              .ctx = ctx,
                              .status = 1,
                              .pid = getpid(),
                              .signals = -1,
                              .slots = plan->workers,
                              .activated = ld_activation_count()};
    struct pollfd *fds = calloc(s.slots + 4, sizeof(*fds));

    ld_supervisor_reload_init(&s);
    s.watch.fd = -1;
    s.log.level = plan->level;
    s.workers = calloc(s.slots, sizeof(*s.workers));
    s.arbiter = ld_arbiter_new(s.slots, ld_supervisor_pass_on, &s);
    if (!fds || !s.workers || !s.arbiter || !take_signals(&s)) {
        ld_log(&s.log, LD_FAULT, "cannot start", "error=\"%s\"",
               strerror(errno));
    } else if (ld_supervisor_open(&s)) {
        s.status = 0;
        init_workers(&s);
        ld_supervisor_watch(&s);
        serve(&s, fds);
        ld_log(&s.log, LD_INFO, "stopped", "%s", "");
    }
    ld_supervisor_close(&s);
    if (s.signals >= 0)
        close(s.signals);
    if (s.watch.fd >= 0)
        close(s.watch.fd);
    ld_arbiter_free(s.arbiter);
    free(s.workers);
    ld_plan_free(s.plan);
    free(fds);
    return s.status;
}
