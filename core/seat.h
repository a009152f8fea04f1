/* seat.h -- what a worker process inherits from its supervisor, and how the
 * two talk.
 *
 * The supervisor owns everything here; the worker has a copy of it from
 * fork() and uses the descriptors as its own.
 */
#ifndef LD_SEAT_H
#define LD_SEAT_H

#include <stddef.h>
#include <stdint.h>

enum {
    LD_WORKERS_MAX = 256,
    LD_DATAGRAM_MAX = 32768, /* bytes in one datagram between workers */
    LD_CONTROL_MAX = 2048    /* bytes of one message to or of the supervisor */
};

/* The first byte of a message between a worker and its supervisor.  Numbers in
 * it are big-endian. */
enum ld_control {
    /* Of both. */
    LD_CONTROL_PING = 'p', /* the answer is the same */
    /* Let connections finish, then exit.  Of the supervisor: seconds:u32; of a
       worker, which may have all others do so: slot:u16, 0: all, seconds:u32 */
    LD_CONTROL_DRAIN = 's',
    /* Of the supervisor. */
    LD_CONTROL_WATCH = 't',   /* slot:u16, accept on its sockets too */
    LD_CONTROL_UNWATCH = 'g', /* slot:u16, no more */
    LD_CONTROL_STATE = 'i',   /* all that is so has been told */
    LD_CONTROL_STOP = 'q',    /* exit */
    LD_CONTROL_LEAVE = 'e',   /* others have the sockets: close them all */
    LD_CONTROL_WORKER = 'W',  /* slot:u16 incarnation:u32 up:u8 */
    LD_CONTROL_NAME = 'N',    /* name:s2 id:s2; no id: nobody holds it */
    LD_CONTROL_ANSWER = 'A',  /* request:u32 ok:u8 previous:s2 */
    LD_CONTROL_PLAN = 'P',    /* a piece of a plan, see plan.h */
    LD_CONTROL_SOCKET = 'k',  /* listener:u16, from 0, slot:u16, and the socket:
                                 of the config to come */
    /* version:u32, with that plan, 0: only look; back:u8, it is a former one:
       connections that cannot go back stay where they are */
    LD_CONTROL_PREPARE = 'V',
    LD_CONTROL_TRIAL = 'T',    /* share:u16, of 1000 new connections: try it */
    LD_CONTROL_COMMIT = 'C',   /* it is so */
    LD_CONTROL_ABORT = 'X',    /* it is not to be */
    LD_CONTROL_RELOADED = 'B', /* request:u32 version:u32 text:s2; version 0: it
                                  was refused, as the text says */
    /* Of the worker. */
    LD_CONTROL_READY = 'r',
    LD_CONTROL_REGISTER = 'R',   /* request:u32 take:u8 name:s2 id:s2 */
    LD_CONTROL_UNREGISTER = 'U', /* name:s2 id:s2 */
    /* request:u32 how:u8, an enum ld_reload_how, share:u16 seconds:u32 */
    LD_CONTROL_RELOAD = 'L',
    /* request:u32, 0 if nobody waits for an answer, good:u8 text: what came of
       the trial; or is it confirmed? */
    LD_CONTROL_JUDGE = 'J',
    LD_CONTROL_PREPARED = 'v' /* version:u32 ok:u8 text:s2 */
};

enum ld_reload_how {
    LD_RELOAD_FOR_GOOD,
    LD_RELOAD_DRY,    /* only say what would change */
    LD_RELOAD_TRIAL,  /* SHARE of 1000 new connections have it for SECONDS */
    LD_RELOAD_CONFIRM /* back again, unless somebody confirms it in SECONDS */
};

/* The number in BYTES bytes at P. */
static inline uint32_t ld_control_number(const uint8_t *p, int bytes)
{
    uint32_t n = 0;

    while (bytes-- > 0)
        n = n << 8 | *p++;
    return n;
}

static inline void ld_control_put(uint8_t *p, uint64_t n, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, n >>= 8)
        p[i] = (uint8_t)n;
}

/* As the seconds of a drain: as many as the config says. */
#define LD_DRAIN_DEFAULT UINT32_MAX

struct ld_seat {
    uint32_t slot;        /* of this worker, from 1 */
    uint32_t incarnation; /* how many this slot has had, from 1 */
    uint32_t slots;       /* workers */
    uint32_t listeners;
    const int *sockets; /* of listener L and slot S: [L * slots + S - 1]; a unix
                           listener's is the same for all slots */
    int control;        /* to the supervisor */
    int inbox;          /* datagrams of other workers */
    const int *outboxes; /* by slot - 1: the other end of each inbox */
    const char *plan;    /* see plan.h; the worker runs these files */
    size_t plan_size;
    uint32_t version; /* how many plans there have been, from 1 */
};

#endif
