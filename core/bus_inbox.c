/* bus_inbox.c -- the bus: what comes in from other workers. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bus_parts.h"

enum { WAKE_UP_MAX = 65536 /* bytes: receiving must not starve I/O */ };

void ld_bus_forget_partial(struct ld_bus_peer *peer)
{
    free(peer->partial);
    peer->partial = NULL;
    peer->partial_size = peer->partial_cap = 0;
    peer->partial_open = false;
}

static bool grow(struct ld_bus_peer *peer, size_t n)
{
    size_t need = peer->partial_size + n;
    size_t cap = peer->partial_cap ? peer->partial_cap : 4 * LD_DATAGRAM_MAX;
    uint8_t *grown;

    if (need > LD_BUS_QUEUE)
        return false;
    while (cap < need)
        cap *= 2;
    if (cap == peer->partial_cap)
        return true;
    grown = realloc(peer->partial, cap);
    if (!grown)
        return false;
    peer->partial = grown;
    peer->partial_cap = cap;
    return true;
}

/* One record of N bytes.  A message whose beginning is not here is nothing. */
static void take_record(struct ld_bus *b, const struct ld_bus_head *head,
                        struct ld_bus_peer *peer, uint32_t flags,
                        const uint8_t *p, size_t n)
{
    if (!(flags & LD_RECORD_REST)) {
        ld_bus_forget_partial(peer);
        if (!(flags & LD_RECORD_MORE)) {
            b->events->message(b->ctx, head->slot, head->incarnation, p, n);
            return;
        }
        peer->partial_open = true;
    }
    if (!peer->partial_open)
        return;
    if (!grow(peer, n)) {
        ld_log(b->log, LD_FAULT, "message lost", "from=%u", head->slot);
        ld_bus_forget_partial(peer);
        return;
    }
    memcpy(peer->partial + peer->partial_size, p, n);
    peer->partial_size += n;
    if (flags & LD_RECORD_MORE)
        return;
    b->events->message(b->ctx, head->slot, head->incarnation, peer->partial,
                       peer->partial_size);
    ld_bus_forget_partial(peer);
}

static void take_datagram(struct ld_bus *b, const uint8_t *p, size_t n)
{
    struct ld_bus_head head;
    struct ld_bus_peer *peer;
    const uint8_t *end = p + n;
    uint32_t record;

    if (n < sizeof(head))
        return;
    memcpy(&head, p, sizeof(head));
    p += sizeof(head);
    if (head.slot - 1 >= b->seat->slots ||
        head.target != b->seat->incarnation) /* for one that is dead */
        return;
    peer = &b->peers[head.slot - 1];
    if (peer->sender != head.incarnation)
        ld_bus_forget_partial(peer);
    peer->sender = head.incarnation;
    while (end - p >= (ptrdiff_t)sizeof(record)) {
        size_t size;

        memcpy(&record, p, sizeof(record));
        p += sizeof(record);
        size = record & LD_RECORD_SIZE;
        if (size > (size_t)(end - p))
            return;
        take_record(b, &head, peer, record & ~(uint32_t)LD_RECORD_SIZE, p,
                    size);
        p += size;
    }
}

void ld_bus_on_inbox(struct ev_loop *loop, ev_io *w, int events)
{
    struct ld_bus *b = w->data;
    size_t taken = 0;

    (void)loop;
    (void)events;
    while (taken < WAKE_UP_MAX) {
        ssize_t n = recv(w->fd, b->buffer, sizeof(b->buffer), MSG_DONTWAIT);

        if (n <= 0)
            return;
        taken += (size_t)n;
        take_datagram(b, b->buffer, (size_t)n);
    }
}
