/* proxy.h -- the PROXY protocol, versions 1 and 2: who a connection is really
 * from, said by a proxy before anything else.
 *
 * After HAProxy's doc/proxy-protocol.txt.  Reads what has been received; knows
 * nothing of sockets.
 */
#ifndef LD_PROXY_H
#define LD_PROXY_H

#include <sys/socket.h>

#include "ld.h"

enum {
    LD_PROXY_MAX = 4096, /* bytes of a header; longer ones are refused */
    LD_PROXY_LINE = 107  /* of version 1, with its CR LF */
};

/* Who a connection is from, and where they connected to.  One block, freed by
 * whoever it belongs to. */
struct ld_origin {
    /* AF_UNSPEC: the proxy speaks for itself, or does not know. */
    struct sockaddr_storage source, destination;
    uint8_t version;
    uint16_t size;    /* bytes of `fields` */
    uint8_t fields[]; /* type:u8 length:u16 value..., as they came */
};

/* The size of the header that begins at P, of which N bytes are there; 0 when
 * more of them are needed; -1 when it is none. */
int ld_proxy_size(const uint8_t *p, size_t n);

/* What the header of N bytes, as ld_proxy_size() said, means; NULL with *WHY
 * set when it is malformed, or *WHY NULL when out of memory. */
struct ld_origin *ld_proxy_read(const uint8_t *p, size_t n, const char **why);

#endif
