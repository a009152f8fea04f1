/* support_peer.h -- connections over memory whose handler is a C function.
 *
 * A rig is a pool that nobody but the test drives.  A peer is the far end of
 * one connection of it, and counts what the connection does to its transport.
 */
#ifndef LD_TESTS_SUPPORT_PEER_H
#define LD_TESTS_SUPPORT_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conn.h"
#include "memory.h"

struct peer;

/* Runs as the handler of P's connection: ST is the outcome of what it awaited.
 * True: it waits again.  False: it is done, and the connection ends. */
typedef bool (*peer_script)(struct peer *p, enum ld_status st);

struct rig {
    struct ld_pool *pool;
    struct ld_profile profile;
    struct ld_timeouts timeouts[2];
};

struct peer {
    struct ld_memory memory; /* first: it is the transport's state */
    struct rig *rig;
    struct ld_conn *c; /* NULL once it has closed */
    int64_t handle;
    peer_script script;
    peer_script on_closed; /* or NULL */
    int step;              /* the script's own */
    void *data;            /* the script's own */
    enum ld_status last;   /* outcome of the last wake */
    int wakes, closes, reads, writes;
};

/* A clock at 100 s, limits of 64 KB for a frame and 1 MB for output, 5 s to
 * linger, and no timeouts. */
void rig_init(struct rig *r);
void rig_free(struct rig *r);

/* A program's one rig, made anew for each test by these. */
extern struct rig rig;
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* Let SECONDS pass, deadline by deadline. */
void rig_advance(struct rig *r, double seconds);

/* A connection whose handler is SCRIPT with DATA, started. */
void peer_open(struct peer *p, struct rig *r, peer_script script, void *data);

/* End its connection if it lives, and free what the peer holds. */
void peer_free(struct peer *p);

/* What the connection watches, as bits of LD_READ and LD_WRITE. */
int peer_watched(const struct peer *p);

/* N bytes come; they are read for as long as the connection watches. */
void peer_feed(struct peer *p, const void *bytes, size_t n);
void peer_say(struct peer *p, const char *text);

/* The peer ends its side (LD_EOF) or the connection (LD_RESET). */
void peer_end(struct peer *p, enum ld_status how);

/* It takes N more bytes of output. */
void peer_take(struct peer *p, size_t n);

/* What it has received since the last call, as text; and how many bytes. */
const char *peer_heard(struct peer *p);
size_t peer_count(struct peer *p);

/* Queue bytes for the peer as its handler, or another's, does. */
void conn_write(struct ld_conn *c, const void *bytes, size_t n);
void conn_say(struct ld_conn *c, const char *text);

/* A format, checked; free it with ld_format_free(). */
struct ld_format *format_new(const char *source);

/* Bytes I of value V of the last result, as text that the next call spoils. */
const char *result_text(const struct rig *r, int v);

#endif
