/* network.c -- see network.h. */
#include "network.h"

#include <netinet/in.h>
#include <string.h>

bool ld_network_host(struct ld_host *host, const struct sockaddr_storage *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

    if (sa->ss_family == AF_INET6) {
        memcpy(host->bytes, &v6->sin6_addr, sizeof(host->bytes));
        return true;
    }
    if (sa->ss_family != AF_INET)
        return false;
    memset(host->bytes, 0, 10);
    memset(host->bytes + 10, 255, 2);
    memcpy(host->bytes + 12, &v4->sin_addr, 4);
    return true;
}

void ld_network_mask(struct ld_host *host, unsigned bits)
{
    for (unsigned i = bits / 8; i < sizeof(host->bytes); i++)
        host->bytes[i] &= i == bits / 8 ? (uint8_t)(0xff00 >> bits % 8) : 0;
}

bool ld_network_has(const struct ld_network *networks, size_t count,
                    const struct sockaddr_storage *sa)
{
    struct ld_host host, masked;
    bool known = ld_network_host(&host, sa);

    for (size_t i = 0; i < count; i++) {
        if (networks[i].bits == LD_NETWORK_LOCAL) {
            if (!known)
                return true;
            continue;
        }
        if (!known)
            continue;
        masked = host;
        ld_network_mask(&masked, networks[i].bits);
        if (memcmp(&masked, &networks[i].host, sizeof(masked)) == 0)
            return true;
    }
    return false;
}
