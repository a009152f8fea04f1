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
    WAKE_UP_MAX = 64,         /* messages of one worker in a row */
    PREFIX_MAX = 32           /* "SLOT.INCARNATION." */
};

/* A message that is being put together. */
struct writer {
    uint8_t bytes[LD_CONTROL_MAX];
    size_t size;
};

/* A message that is being read; P is NULL after something malformed. */
struct reader {
    const uint8_t *p, *end;
};

static void put(struct writer *w, uint32_t n, int bytes)
{
    while (bytes-- > 0)
        w->bytes[w->size++] = (uint8_t)(n >> 8 * bytes);
}

static void put_text(struct writer *w, const char *p, size_t len)
{
    put(w, (uint32_t)len, 2);
    memcpy(w->bytes + w->size, p, len);
    w->size += len;
}

static uint32_t get(struct reader *r, int bytes)
{
    uint32_t n = 0;

    if (!r->p || r->end - r->p < bytes) {
        r->p = NULL;
        return 0;
    }
    while (bytes-- > 0)
        n = n << 8 | *r->p++;
    return n;
}

static struct ld_text get_text(struct reader *r)
{
    struct ld_text t = {"", get(r, 2)};

    if (!r->p || (size_t)(r->end - r->p) < t.len) {
        r->p = NULL;
        return (struct ld_text){"", 0};
    }
    t.p = (const char *)r->p;
    r->p += t.len;
    return t;
}

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

void ld_supervisor_tell_all(struct ld_supervisor *s,
                            const struct ld_process *except, const void *p,
                            size_t n)
{
    for (uint32_t i = 0; i < s->slots; i++)
        if (&s->workers[i] != except)
            ld_supervisor_send(s, &s->workers[i], p, n);
}

void ld_supervisor_order(struct ld_supervisor *s, struct ld_process *w,
                         int kind, uint32_t slot)
{
    struct writer m = {.size = 0};

    put(&m, (uint32_t)kind, 1);
    if (slot)
        put(&m, slot, 2);
    ld_supervisor_send(s, w, m.bytes, m.size);
}

static void write_worker(struct writer *m, const struct ld_process *w, bool up)
{
    m->size = 0;
    put(m, LD_CONTROL_WORKER, 1);
    put(m, w->slot, 2);
    put(m, w->incarnation, 4);
    put(m, up, 1);
}

static void write_name(struct writer *m, struct ld_text name, struct ld_text id)
{
    m->size = 0;
    put(m, LD_CONTROL_NAME, 1);
    put_text(m, name.p, name.len);
    put_text(m, id.p, id.len);
}

void ld_supervisor_announce(struct ld_supervisor *s, const struct ld_process *w,
                            bool up)
{
    struct writer m;

    write_worker(&m, w, up);
    ld_supervisor_tell_all(s, w, m.bytes, m.size);
}

/* For ld_names_each(). */
struct telling {
    struct ld_supervisor *s;
    struct ld_process *w; /* NULL: all */
};

static void tell_name(void *ctx, struct ld_text name, struct ld_text id)
{
    struct telling *t = ctx;
    struct writer m;

    write_name(&m, name, id);
    if (t->w)
        ld_supervisor_send(t->s, t->w, m.bytes, m.size);
    else
        ld_supervisor_tell_all(t->s, NULL, m.bytes, m.size);
}

static void tell_free(void *ctx, struct ld_text name, struct ld_text id)
{
    (void)id;
    tell_name(ctx, name, (struct ld_text){"", 0});
}

/* However much it is, it does not count against the limit of the queue. */
void ld_supervisor_send_state(struct ld_supervisor *s, struct ld_process *w)
{
    struct telling t = {s, w};
    struct writer m;

    ld_outbox_init(&w->outbox, w->control, SIZE_MAX / 2);
    for (uint32_t i = 0; i < s->slots; i++) {
        const struct ld_process *other = &s->workers[i];

        if (other == w || other->state != LD_WORKER_READY)
            continue;
        write_worker(&m, other, true);
        ld_supervisor_send(s, w, m.bytes, m.size);
    }
    ld_names_each(s->names, tell_name, &t);
    ld_supervisor_order(s, w, LD_CONTROL_STATE, 0);
    w->outbox.limit = w->outbox.kept + CONTROL_QUEUE;
}

/* What the ids of W's connections begin with; returns its length. */
static size_t write_prefix(char prefix[PREFIX_MAX], const struct ld_process *w)
{
    return (size_t)snprintf(prefix, PREFIX_MAX, "%u.%u.", w->slot,
                            w->incarnation);
}

void ld_supervisor_drop_names(struct ld_supervisor *s,
                              const struct ld_process *w)
{
    struct telling t = {s, NULL};
    char prefix[PREFIX_MAX];

    write_prefix(prefix, w);
    ld_names_drop(s->names, prefix, tell_free, &t);
}

/* Only such ids are forgotten when W dies. */
static bool is_its_own(const struct ld_process *w, struct ld_text id)
{
    char prefix[PREFIX_MAX];
    size_t len = write_prefix(prefix, w);

    return id.len > len && memcmp(id.p, prefix, len) == 0;
}

/* The news of a name comes before the answer to who asked for it. */
static bool take_register(struct ld_supervisor *s, struct ld_process *w,
                          struct reader *r)
{
    struct telling t = {s, NULL};
    char previous[LD_NAME_MAX + 1];
    uint32_t request = get(r, 4), take = get(r, 1);
    struct ld_text name = get_text(r), id = get_text(r);
    struct writer m = {.size = 0};
    enum ld_status st;

    if (!r->p || !is_its_own(w, id))
        return false;
    st = ld_names_register(s->names, name, id, take != 0, previous);
    if (!st)
        tell_name(&t, name, id);
    put(&m, LD_CONTROL_ANSWER, 1);
    put(&m, request, 4);
    put(&m, !st, 1);
    put_text(&m, previous, strlen(previous));
    ld_supervisor_send(s, w, m.bytes, m.size);
    return true;
}

static bool take_unregister(struct ld_supervisor *s, struct reader *r)
{
    struct telling t = {s, NULL};
    struct ld_text name = get_text(r), id = get_text(r);

    if (!r->p)
        return false;
    if (ld_names_release(s->names, name, id))
        tell_free(&t, name, id);
    return true;
}

static void take_ready(struct ld_supervisor *s, struct ld_process *w)
{
    if (w->state == LD_WORKER_READY)
        return;
    w->state = LD_WORKER_READY;
    s->was_ready = true;
    ld_log(&s->log, LD_INFO, "worker started", "worker=%u pid=%d", w->slot,
           (int)w->pid);
    ld_supervisor_announce(s, w, true);
}

static void take(struct ld_supervisor *s, struct ld_process *w,
                 const uint8_t *p, size_t n)
{
    struct reader r = {p + 1, p + n};
    bool good = true;

    switch (p[0]) {
    case LD_CONTROL_PING: break;
    case LD_CONTROL_READY: take_ready(s, w); break;
    case LD_CONTROL_REGISTER: good = take_register(s, w, &r); break;
    case LD_CONTROL_UNREGISTER: good = take_unregister(s, &r); break;
    default: good = false;
    }
    if (!good)
        ld_log(&s->log, LD_FAULT, "malformed message", "worker=%u", w->slot);
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
