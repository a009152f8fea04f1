/* source.h -- how much each source, a network of clients, takes up.
 *
 * A source is an address with all bits but the first zero: IPv4's as a whole
 * and IPv6's /64, unless said otherwise.  It is known while it has connections,
 * and until what it may do at once is whole again.  Knows nothing of sockets.
 */
#ifndef LD_SOURCE_H
#define LD_SOURCE_H

#include "network.h"

enum { LD_SOURCES_MAX = 1 << 17 }; /* known at a time; others are not limited */

/* 0: no limit. */
struct ld_source_limits {
    uint32_t connections; /* at a time */
    double rate;    /* new connections a second; a second's worth at once */
    double bytes;   /* read in a second; the same */
    uint8_t v4, v6; /* bits of an address that count: 32, 128 at most */
};

enum ld_source_verdict {
    LD_SOURCE_GOOD,
    LD_SOURCE_CONNECTIONS, /* it has as many as it may */
    LD_SOURCE_RATE         /* it has made too many of late */
};

struct ld_source; /* opaque; see source.c */

struct ld_sources; /* all of them */

/* NULL when out of memory.  SEED is random: clients choose their addresses. */
struct ld_sources *ld_sources_new(uint64_t seed);

/* None may have connections. */
void ld_sources_free(struct ld_sources *all); /* NULL is allowed */

/* From now on; connections that there are stay. */
void ld_sources_limit(struct ld_sources *all,
                      const struct ld_source_limits *limits);
const struct ld_source_limits *ld_sources_limits(const struct ld_sources *all);

/* A connection from SA comes at NOW, seconds.  If it may, *SOURCE is whose it
 * is, for ld_sources_leave(); NULL: nobody's. */
enum ld_source_verdict ld_sources_enter(struct ld_sources *all,
                                        const struct sockaddr_storage *sa,
                                        double now, struct ld_source **source);
void ld_sources_leave(struct ld_source *source); /* NULL is allowed */

/* SOURCE has sent N bytes, which were read.  Seconds until more may be. */
double ld_source_charge(const struct ld_sources *all, struct ld_source *source,
                        uint64_t n, double now);

/* The number of those that are known. */
uint32_t ld_sources_count(const struct ld_sources *all);

#endif
