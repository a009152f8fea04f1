/* support_relay.h -- a coroutine that relays or pipes, for tests.
 *
 * NEAR is a connection whose script does one relay or pipe and then reads on;
 * FAR is passive.  Hooks wake whoever waits, as the bind half does.
 */
#ifndef LD_TESTS_SUPPORT_RELAY_H
#define LD_TESTS_SUPPORT_RELAY_H

#include "support_peer.h"

/* What a relay may hold: above the high watermark nothing is read. */
enum { HELD_MAX = LD_HIGH_WATER + 2 * LD_READ_SIZE };

struct job {
    struct peer *from, *to;
    uint64_t n; /* bytes to relay; 0: pipe */
    bool over;
    enum ld_status st;
    uint64_t there, back;
    int64_t source; /* handle of the connection that brought the end */
};

extern struct peer near, far;
extern struct job job; /* of near's script */
extern int go_ons;     /* parked coroutines that were unparked */

/* Make the rig, to be torn down by rig_tear_down(). */
int relay_set_up(void **state);

void open_far(void);

/* Open NEAR, which relays N bytes of FROM to TO, or pipes the two. */
void start(struct peer *from, struct peer *to, uint64_t n);
void free_both(void);

/* A script that waits for bytes that never come. */
bool waits(struct peer *p, enum ld_status st);

/* Byte I of a stream that tells if anything is lost, doubled or out of turn. */
uint8_t byte_at(uint64_t i);

/* The next N bytes of the stream come, *AT counts them; P takes N bytes more,
 * which must be the next ones. */
void feed(struct peer *p, uint64_t *at, size_t n);
void take(struct peer *p, uint64_t *at, size_t n);

#endif
