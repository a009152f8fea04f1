/* bus.c -- see bus.h: what goes out.
 *
 * Posts are copied into one datagram per target.  It is sent when the next
 * post does not fit or the loop is about to block; while the target's inbox is
 * full, datagrams wait in the outbox.  A message that is larger than a
 * datagram goes in several records.
 */
#include "bus_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD = sizeof(struct ld_bus_head),
    RECORD = sizeof(uint32_t),
    CONTROL_QUEUE = 16 << 20 /* bytes kept for the supervisor */
};

static struct ld_bus_peer *peer_of(const struct ld_bus *b, uint32_t slot)
{
    return slot - 1 < b->seat->slots && slot != b->seat->slot
               ? &b->peers[slot - 1]
               : NULL;
}

static void unstage(struct ld_bus *b, struct ld_bus_peer *peer)
{
    if (peer->staged_size == 0)
        return;
    peer->staged_size = 0;
    b->staged--;
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_bus_peer *peer = w->data;

    (void)events;
    if (ld_outbox_flush(&peer->outbox) != LD_AGAIN)
        ev_io_stop(loop, w);
}

static bool send_staged(struct ld_bus *b, struct ld_bus_peer *peer)
{
    enum ld_status st =
        ld_outbox_put(&peer->outbox, peer->staged, peer->staged_size);

    unstage(b, peer);
    if (ld_outbox_waits(&peer->outbox))
        ev_io_start(b->loop, &peer->writable);
    return !st;
}

static void stage(struct ld_bus *b, struct ld_bus_peer *peer, uint32_t flags,
                  const uint8_t *p, size_t n)
{
    struct ld_bus_head head = {b->seat->slot, b->seat->incarnation,
                               peer->incarnation};
    uint32_t record = flags | (uint32_t)n;

    if (peer->staged_size == 0) {
        memcpy(peer->staged, &head, HEAD);
        peer->staged_size = HEAD;
        b->staged++;
    }
    memcpy(peer->staged + peer->staged_size, &record, RECORD);
    memcpy(peer->staged + peer->staged_size + RECORD, p, n);
    peer->staged_size += RECORD + n;
}

static bool post_pieces(struct ld_bus *b, struct ld_bus_peer *peer,
                        const uint8_t *p, size_t n)
{
    const size_t most = LD_DATAGRAM_MAX - HEAD - RECORD;
    uint32_t rest = 0;

    while (n > most) {
        stage(b, peer, rest | LD_RECORD_MORE, p, most);
        if (!send_staged(b, peer))
            return false;
        rest = LD_RECORD_REST;
        p += most;
        n -= most;
    }
    stage(b, peer, rest, p, n);
    return true;
}

bool ld_bus_post(struct ld_bus *b, uint32_t slot, const void *p, size_t n)
{
    struct ld_bus_peer *peer = peer_of(b, slot);

    if (!peer || !peer->up || n > LD_BUS_QUEUE ||
        peer->outbox.kept + peer->staged_size + n > LD_BUS_QUEUE)
        return false;
    if (!peer->staged && !(peer->staged = malloc(LD_DATAGRAM_MAX)))
        return false;
    if (peer->staged_size + RECORD + n > LD_DATAGRAM_MAX &&
        peer->staged_size > 0 && !send_staged(b, peer))
        return false;
    return post_pieces(b, peer, p, n);
}

/* While an outbox waits, the datagram may as well become full. */
static void flush(struct ld_bus *b)
{
    for (uint32_t i = 0; b->staged > 0 && i < b->seat->slots; i++) {
        struct ld_bus_peer *peer = &b->peers[i];

        if (peer->staged_size > 0 && !ld_outbox_waits(&peer->outbox))
            send_staged(b, peer);
    }
}

/* The last thing before the loop blocks. */
static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)loop;
    (void)events;
    flush(w->data);
}

void ld_bus_ask(struct ld_bus *b, const void *p, size_t n)
{
    enum ld_status st = ld_outbox_put(&b->asks, p, n);

    if (st && st != LD_CLOSED) /* without a supervisor, this worker ends */
        ld_log(b->log, LD_FAULT, "message to the supervisor lost",
               "error=\"%s\"", ld_strstatus(st));
    if (ld_outbox_waits(&b->asks))
        ev_io_start(b->loop, &b->control_writable);
}

void ld_bus_peer_changed(struct ld_bus *b, uint32_t slot, uint32_t incarnation,
                         bool up)
{
    struct ld_bus_peer *peer = peer_of(b, slot);

    if (!peer)
        return;
    peer->up = up;
    peer->incarnation = incarnation;
    ev_io_stop(b->loop, &peer->writable);
    ld_outbox_clear(&peer->outbox);
    unstage(b, peer);
    if (!up)
        ld_bus_forget_partial(peer);
}

static void init_watchers(struct ld_bus *b)
{
    ev_io_init(&b->inbox, ld_bus_on_inbox, b->seat->inbox, EV_READ);
    ev_io_init(&b->control, ld_bus_on_control, b->seat->control, EV_READ);
    ev_io_init(&b->control_writable, ld_bus_on_control_writable,
               b->seat->control, EV_WRITE);
    ev_prepare_init(&b->prepare, on_prepare);
    ev_set_priority(&b->prepare, EV_MINPRI); /* behind all that may post */
    b->inbox.data = b->control.data = b->control_writable.data = b;
    b->prepare.data = b;
    ld_outbox_init(&b->asks, b->seat->control, CONTROL_QUEUE);
    for (uint32_t i = 0; i < b->seat->slots; i++) {
        struct ld_bus_peer *peer = &b->peers[i];

        /* The bound is checked by the message, so that none is cut. */
        ld_outbox_init(&peer->outbox, b->seat->outboxes[i], SIZE_MAX / 2);
        ev_io_init(&peer->writable, on_writable, b->seat->outboxes[i],
                   EV_WRITE);
        peer->writable.data = peer;
    }
}

struct ld_bus *ld_bus_new(struct ev_loop *loop, const struct ld_seat *seat,
                          const struct ld_log *log,
                          const struct ld_bus_events *events, void *ctx)
{
    struct ld_bus *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->peers = calloc(seat->slots, sizeof(*b->peers));
    if (!b->peers) {
        free(b);
        return NULL;
    }
    b->loop = loop;
    b->seat = seat;
    b->log = log;
    b->events = events;
    b->ctx = ctx;
    init_watchers(b);
    return b;
}

void ld_bus_start(struct ld_bus *b)
{
    static const uint8_t ready = LD_CONTROL_READY;

    ev_io_start(b->loop, &b->inbox);
    ev_io_start(b->loop, &b->control);
    ev_prepare_start(b->loop, &b->prepare);
    ld_bus_ask(b, &ready, 1);
}

void ld_bus_free(struct ld_bus *b)
{
    if (!b)
        return;
    flush(b); /* last words */
    ev_io_stop(b->loop, &b->inbox);
    ev_io_stop(b->loop, &b->control);
    ev_io_stop(b->loop, &b->control_writable);
    ev_prepare_stop(b->loop, &b->prepare);
    ld_outbox_clear(&b->asks);
    for (uint32_t i = 0; i < b->seat->slots; i++) {
        ev_io_stop(b->loop, &b->peers[i].writable);
        ld_outbox_clear(&b->peers[i].outbox);
        ld_bus_forget_partial(&b->peers[i]);
        free(b->peers[i].staged);
    }
    free(b->peers);
    free(b);
}
