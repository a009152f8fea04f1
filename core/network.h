/* network.h -- is an address in one of these networks? */
#ifndef LD_NETWORK_H
#define LD_NETWORK_H

#include <stdbool.h>
#include <sys/socket.h>

#include "ld.h"

/* An address as 16 bytes, IPv4's as ::ffff:a.b.c.d. */
struct ld_host {
    uint8_t bytes[16];
};

enum { LD_NETWORK_LOCAL = 255 /* bits: everybody on a unix socket */ };

struct ld_network {
    struct ld_host host;
    uint8_t bits; /* that count, of 128, or LD_NETWORK_LOCAL */
};

/* The host of SA; false for what has none. */
bool ld_network_host(struct ld_host *host, const struct sockaddr_storage *sa);

/* Zero all of HOST but its first BITS bits. */
void ld_network_mask(struct ld_host *host, unsigned bits);

/* Is SA in one of COUNT networks? */
bool ld_network_has(const struct ld_network *networks, size_t count,
                    const struct sockaddr_storage *sa);

#endif
