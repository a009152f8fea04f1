/* bus_parts.h -- what the files of the bus know of each other. */
#ifndef LD_BUS_PARTS_H
#define LD_BUS_PARTS_H

#include "bus.h"
#include "outbox.h"

enum {
    /* A record is its size and flags, then bytes of a message. */
    LD_RECORD_MORE = 1 << 29, /* the next record goes on with the message */
    LD_RECORD_REST = 1 << 30, /* goes on with that of the one before */
    LD_RECORD_SIZE = LD_RECORD_MORE - 1
};

/* In front of the records of each datagram. */
struct ld_bus_head {
    uint32_t slot, incarnation; /* of the sender */
    uint32_t target;            /* incarnation that it is for */
};

/* Another worker, as where messages go and as where they come from. */
struct ld_bus_peer {
    struct ld_outbox outbox;
    ev_io writable;
    uint32_t incarnation;
    bool up;
    uint8_t *staged; /* the datagram that is being filled, with its head */
    size_t staged_size;
    uint32_t sender;  /* incarnation that PARTIAL is of */
    uint8_t *partial; /* a message that came in records */
    size_t partial_size, partial_cap;
    bool partial_open;
};

struct ld_bus {
    struct ev_loop *loop;
    const struct ld_seat *seat;
    const struct ld_log *log;
    const struct ld_bus_events *events;
    void *ctx;
    struct ld_bus_peer *peers; /* by slot - 1 */
    uint32_t staged;           /* peers with a datagram to send */
    ev_io inbox, control, control_writable;
    ev_prepare prepare;
    struct ld_outbox asks;
    bool joined;
    uint8_t buffer[LD_DATAGRAM_MAX];
};

/* bus_inbox.c */
void ld_bus_on_inbox(struct ev_loop *loop, ev_io *w, int events);
void ld_bus_forget_partial(struct ld_bus_peer *peer);

/* bus_control.c */
void ld_bus_on_control(struct ev_loop *loop, ev_io *w, int events);
void ld_bus_on_control_writable(struct ev_loop *loop, ev_io *w, int events);

/* The worker in SLOT is there, or gone: nothing waits for it any more. */
void ld_bus_peer_changed(struct ld_bus *b, uint32_t slot, uint32_t incarnation,
                         bool up);

#endif
