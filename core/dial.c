/* dial.c -- the life of one dial: which address is tried when; see dial.h. */
#include "dial_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* RFC 8305: how long IPv6's answer is waited for when IPv4's is there, and
 * how much of a head start each attempt has. */
static const double RESOLUTION_DELAY = 0.05;
static const double ATTEMPT_DELAY = 0.25;

/* A unix socket whose queue is full says so at once, and never again. */
static const double RETRY_DELAY = 0.02;

/* How telling a failure is; of two that are alike the first counts. */
static int weight(enum ld_status st)
{
    switch (st) {
    case LD_OK: return 0;
    case LD_DNS: return 1;
    case LD_UNREACHABLE: return 2;
    case LD_TIMEOUT: return 3;
    case LD_REFUSED:
    case LD_RESET: return 4;
    default: return 5; /* ours: descriptors, memory, a wrong source */
    }
}

void ld_dial_note(struct ld_dial *d, enum ld_status st, const char *text, ...)
{
    va_list args;

    if (weight(st) <= weight(d->st))
        return;
    d->st = st;
    va_start(args, text);
    vsnprintf(d->message, sizeof(d->message), text, args);
    va_end(args);
}

static void set_timer(struct ld_dial *d, ev_timer *t, double seconds)
{
    struct ev_loop *loop = d->dialer->loop;

    ev_timer_stop(loop, t);
    ev_now_update(loop); /* it counts from there */
    ev_timer_set(t, seconds, 0);
    ev_timer_start(loop, t);
}

/* Let go of all but D's memory. */
static void leave(struct ld_dial *d)
{
    ev_timer_stop(d->dialer->loop, &d->pace);
    ev_timer_stop(d->dialer->loop, &d->deadline);
    ld_dial_drop_attempts(d);
    ld_dial_drop_queries(d);
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    d->dialer->dial_count--;
}

static void deliver(struct ld_dial *d)
{
    leave(d);
    d->done(d->ctx, d->st, d->fd, d->message);
    free(d);
}

/* The outcome is known.  NOW: the loop has called, and so may the dialer;
 * otherwise c-ares or the one who dials is on the stack. */
static void conclude(struct ld_dial *d, bool now)
{
    d->over = true;
    if (now) {
        deliver(d);
        return;
    }
    ev_timer_stop(d->dialer->loop, &d->deadline);
    ld_dial_drop_attempts(d);
    ld_dial_drop_queries(d);
    set_timer(d, &d->pace, 0);
}

void ld_dial_connected(struct ld_dial *d, int fd, bool now)
{
    d->st = LD_OK;
    d->fd = fd;
    *d->message = '\0';
    conclude(d, now);
}

static bool is_asking(const struct ld_dial *d)
{
    return d->queries[LD_DIAL_V6] || d->queries[LD_DIAL_V4];
}

/* The next address to try: families take turns. */
static const struct ld_dial_address *next_address(struct ld_dial *d)
{
    for (unsigned i = 0; i < LD_DIAL_FAMILIES; i++) {
        unsigned family = (d->next_family + i) % LD_DIAL_FAMILIES;
        struct ld_dial_list *list = &d->lists[family];

        if (list->tried == list->count)
            continue;
        d->next_family = (family + 1) % LD_DIAL_FAMILIES;
        return &list->at[list->tried++];
    }
    return NULL;
}

static void try_local(struct ld_dial *d)
{
    enum ld_status st = ld_dial_attempt(d, NULL);

    if (st == LD_AGAIN)
        set_timer(d, &d->pace, RETRY_DELAY);
    else if (st)
        conclude(d, false);
}

/* Try addresses until one is under way, or none is left. */
static void step(struct ld_dial *d)
{
    const struct ld_dial_address *to;

    ev_timer_stop(d->dialer->loop, &d->pace);
    if (d->local.sun_family) {
        try_local(d);
        return;
    }
    while ((to = next_address(d))) {
        if (ld_dial_attempt(d, to))
            continue;
        if (!d->over)
            set_timer(d, &d->pace, ATTEMPT_DELAY);
        return;
    }
    if (d->live == 0 && !is_asking(d))
        conclude(d, false);
}

void ld_dial_failed(struct ld_dial *d)
{
    step(d);
}

void ld_dial_answered(struct ld_dial *d, unsigned family)
{
    if (d->live > 0 && ev_is_active(&d->pace))
        return; /* the newest attempt has its head start */
    if (family == LD_DIAL_V4 && d->queries[LD_DIAL_V6] && d->live == 0) {
        if (d->lists[LD_DIAL_V4].count > 0)
            set_timer(d, &d->pace, RESOLUTION_DELAY);
        return;
    }
    step(d);
}

static void on_pace(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ld_dial *d = t->data;

    (void)loop;
    (void)events;
    if (d->over)
        deliver(d);
    else
        step(d);
}

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
    struct ld_dial *d = t->data;
    char why[LD_DIAL_TEXT + 4] = "";

    (void)loop;
    (void)events;
    if (d->st)
        snprintf(why, sizeof(why), " (%s)", d->message);
    d->st = LD_OK; /* nothing weighs more */
    if (d->attempt_count == 0 && is_asking(d))
        ld_dial_note(d, LD_TIMEOUT, "%s: no answer from DNS within %g s%s",
                     d->label, d->timeout, why);
    else
        ld_dial_note(d, LD_TIMEOUT, "%s: no connection within %g s%s", d->label,
                     d->timeout, why);
    conclude(d, true);
}

static bool read_target(struct ld_dial *d, const struct ld_dial_target *to)
{
    if (to->source && !ld_dial_numeric(&d->source, to->source, to->source_port))
        return false;
    if (to->device && (!*to->device || strlen(to->device) >= IFNAMSIZ))
        return false;
    if (to->device)
        strcpy(d->device, to->device);
    if (!to->host) {
        if (strlen(to->path) >= sizeof(d->local.sun_path))
            return false;
        d->local.sun_family = AF_UNIX;
        strcpy(d->local.sun_path, to->path);
        snprintf(d->label, sizeof(d->label), "unix:%s", to->path);
        return true;
    }
    if (strlen(to->host) > LD_DIAL_HOST)
        return false;
    strcpy(d->host, to->host);
    d->port = to->port;
    snprintf(d->label, sizeof(d->label),
             strchr(to->host, ':') ? "[%s]:%u" : "%s:%u", to->host, to->port);
    return true;
}

/* Find the addresses to try; what goes wrong is delivered later. */
static void begin(struct ld_dial *d)
{
    struct ld_dial_address a;

    if (!d->local.sun_family && ld_dial_numeric(&a, d->host, d->port)) {
        unsigned family = a.sa.sa_family == AF_INET6 ? LD_DIAL_V6 : LD_DIAL_V4;

        d->lists[family].at[0] = a;
        d->lists[family].count = 1;
        if (d->source.len && d->source.sa.sa_family != a.sa.sa_family) {
            ld_dial_note(d, LD_ERROR,
                         "%s: the source address is of the other "
                         "family, IPv4 or IPv6",
                         d->label);
            d->lists[family].count = 0;
        }
    } else if (!d->local.sun_family) {
        d->named = true;
        ld_dial_lookup(d);
    }
    if (!d->over && !ev_is_active(&d->pace) && d->live == 0)
        step(d);
}

struct ld_dial *ld_dial_start(struct ld_dialer *dialer,
                              const struct ld_dial_target *to, ld_dial_fn done,
                              void *ctx)
{
    struct ld_dial *d;

    if (dialer->dial_count >= LD_DIALS_MAX) {
        errno = EAGAIN;
        return NULL;
    }
    d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    if (!read_target(d, to)) {
        free(d);
        errno = EINVAL;
        return NULL;
    }
    d->dialer = dialer;
    d->done = done;
    d->ctx = ctx;
    d->timeout = to->timeout;
    d->fd = -1;
    d->next = dialer->dials;
    d->link = &dialer->dials;
    if (d->next)
        d->next->link = &d->next;
    dialer->dials = d;
    dialer->dial_count++;
    ev_init(&d->pace, on_pace);
    ev_init(&d->deadline, on_deadline);
    d->pace.data = d->deadline.data = d;
    set_timer(d, &d->deadline, to->timeout);
    begin(d);
    return d;
}

void ld_dial_cancel(struct ld_dial *d)
{
    if (d->fd >= 0)
        close(d->fd);
    leave(d);
    free(d);
}

struct ld_dialer *ld_dialer_new(struct ev_loop *loop, const struct ld_log *log)
{
    struct ld_dialer *d;

    if (ares_library_init(ARES_LIB_INIT_ALL)) {
        errno = ENOMEM;
        return NULL;
    }
    d = calloc(1, sizeof(*d));
    if (!d) {
        ares_library_cleanup();
        return NULL;
    }
    d->loop = loop;
    d->log = log;
    return d;
}

void ld_dialer_free(struct ld_dialer *d)
{
    if (!d)
        return;
    while (d->dials)
        ld_dial_cancel(d->dials);
    ld_dialer_close_names(d);
    free(d->servers);
    free(d);
    ares_library_cleanup();
}
