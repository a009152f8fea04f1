/* supervisor_talk.c -- what the supervisor and its workers tell each other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor_parts.h"

enum {
    CONTROL_QUEUE = 16 << 20, /* bytes that a worker may leave unread */
    WAKE_UP_MAX = 64          /* messages of one worker in a row */
};

/* A worker that leaves this much unread hangs. */
void ld_supervisor_send(struct ld_supervisor *s, struct ld_process *w,
                        const void *p, size_t n)
{
    enum ld_status st;

    if (w->control < 0)
        return;
    st = ld_outbox_put(&w->outbox, p, n);
    if (st == LD_LIMIT || st == LD_NOMEM)
        ld_supervisor_kill(s, w, "it does not read");
}

void ld_supervisor_order(struct ld_supervisor *s, struct ld_process *w,
                         int kind, uint32_t slot)
{
    uint8_t order[3] = {(uint8_t)kind};

    ld_control_put(order + 1, slot, 2);
    ld_supervisor_send(s, w, order, slot ? sizeof(order) : 1);
}

void ld_supervisor_pass_on(void *ctx, uint32_t slot, const void *p, size_t n)
{
    struct ld_supervisor *s = ctx;

    ld_supervisor_send(s, &s->workers[slot - 1], p, n);
}

/* However much it is, it does not count against the limit of the queue. */
void ld_supervisor_send_state(struct ld_supervisor *s, struct ld_process *w)
{
    ld_outbox_init(&w->outbox, w->control, SIZE_MAX / 2);
    ld_arbiter_enter(s->arbiter, w->slot, w->incarnation);
    ld_supervisor_order(s, w, LD_CONTROL_STATE, 0);
    w->outbox.limit = w->outbox.kept + CONTROL_QUEUE;
}

static void take_ready(struct ld_supervisor *s, struct ld_process *w)
{
    if (w->state >= LD_WORKER_READY)
        return;
    w->state = LD_WORKER_READY;
    s->was_ready = true;
    ld_log(&s->log, LD_INFO, "worker started", "worker=%u pid=%d", w->slot,
           (int)w->pid);
    ld_arbiter_up(s->arbiter, w->slot);
    if (!s->told_ready && ld_supervisor_are_ready(s)) {
        s->told_ready = true;
        ld_supervisor_take_over();
    }
}

static void take_reload(struct ld_supervisor *s, const struct ld_process *w,
                        const uint8_t *p, size_t n)
{
    if (n == 12)
        ld_supervisor_reload(
            s, &(struct ld_wish){.slot = w->slot,
                                 .request = ld_control_number(p + 1, 4),
                                 .how = p[5],
                                 .share = ld_control_number(p + 6, 2),
                                 .seconds = ld_control_number(p + 8, 4)});
}

static void take_verdict(struct ld_supervisor *s, const struct ld_process *w,
                         const uint8_t *p, size_t n)
{
    char why[LD_CONTROL_MAX];
    struct ld_wish wish = {0};

    if (n < 6)
        return;
    wish.request = ld_control_number(p + 1, 4);
    wish.slot = wish.request ? w->slot : 0;
    snprintf(why, sizeof(why), "%.*s", (int)(n - 6), (const char *)p + 6);
    ld_supervisor_judge(s, &wish, p[5], why);
}

static void take_drain(struct ld_supervisor *s, const uint8_t *p, size_t n)
{
    uint32_t slot = n == 7 ? ld_control_number(p + 1, 2) : s->slots + 1;

    if (s->phase != LD_SERVING || slot > s->slots)
        return;
    if (slot == 0)
        ld_supervisor_drain(s, false, ld_control_number(p + 3, 4));
    else
        ld_supervisor_drain_worker(s, &s->workers[slot - 1],
                                   ld_control_number(p + 3, 4));
}

static void take(struct ld_supervisor *s, struct ld_process *w,
                 const uint8_t *p, size_t n)
{
    switch (p[0]) {
    case LD_CONTROL_PING: return;
    case LD_CONTROL_READY: take_ready(s, w); return;
    case LD_CONTROL_PREPARED: ld_supervisor_prepared(s, w, p, n); return;
    case LD_CONTROL_RELOAD: take_reload(s, w, p, n); return;
    case LD_CONTROL_JUDGE: take_verdict(s, w, p, n); return;
    case LD_CONTROL_DRAIN: take_drain(s, p, n); return;
    default:
        if (!ld_arbiter_take(s->arbiter, w->slot, p, n))
            ld_log(&s->log, LD_FAULT, "malformed message", "worker=%u",
                   w->slot);
    }
}

void ld_supervisor_listen(struct ld_supervisor *s, struct ld_process *w)
{
    uint8_t message[LD_CONTROL_MAX];

    for (int i = 0; i < WAKE_UP_MAX && w->control >= 0; i++) {
        ssize_t n = recv(w->control, message, sizeof(message), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) { /* it is dying: the rest is up to SIGCHLD */
            close(w->control);
            w->control = -1;
            return;
        }
        w->heard = ld_supervisor_now();
        take(s, w, message, (size_t)n);
    }
}
