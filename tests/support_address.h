/* support_address.h -- addresses of clients, for tests. */
#ifndef TESTS_SUPPORT_ADDRESS_H
#define TESTS_SUPPORT_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Of HOST; one on a unix socket, if it is no IP address. */
static inline struct sockaddr_storage address(const char *host)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNIX};

    if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&sa)->sin_addr) == 1)
        sa.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, host,
                       &((struct sockaddr_in6 *)&sa)->sin6_addr) == 1)
        sa.ss_family = AF_INET6;
    return sa;
}

#endif
