/* raw_net.h -- what the raw servers share: a listener, an epoll, giving up.
 *
 * Yardsticks: blocking where a server may not, and dead at the first surprise.
 */
#ifndef BENCH_RAW_NET_H
#define BENCH_RAW_NET_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RAW_EVENTS = 64, RAW_BACKLOG = 4096 };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
            strerror(errno));
    exit(1);
}

static inline void raw_nodelay(int fd)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        die("TCP_NODELAY");
}

/* A listener on PORT of 127.0.0.1, 0 for any; says which on standard output.
 * Accepted sockets inherit TCP_NODELAY from it. */
static inline int raw_listen(unsigned short port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof(sa);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        die("SO_REUSEADDR");
    raw_nodelay(fd);
    if (bind(fd, (struct sockaddr *)&sa, length) < 0)
        die("bind");
    if (listen(fd, RAW_BACKLOG) < 0)
        die("listen");
    if (getsockname(fd, (struct sockaddr *)&sa, &length) < 0)
        die("getsockname");
    printf("port %d\n", ntohs(sa.sin_port));
    fflush(stdout);
    return fd;
}

/* An accepted connection that does not block, or -1 when none waits. */
static inline int raw_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED)
        die("accept4");
    return fd;
}

static inline int raw_epoll(void)
{
    int epoll = epoll_create1(0);

    if (epoll < 0)
        die("epoll_create1");
    return epoll;
}

static inline void raw_watch(int epoll, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

/* Waits WAIT milliseconds, -1 without end; returns how many are ready. */
static inline int raw_wait(int epoll, struct epoll_event *events, int wait)
{
    int n = epoll_wait(epoll, events, RAW_EVENTS, wait);

    if (n < 0 && errno != EINTR)
        die("epoll_wait");
    return n;
}

/* Send all N bytes, waiting for a peer that does not take them; returns 0, or
 * -1 when the peer is gone. */
static inline int raw_send(int fd, const void *data, size_t n)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    const char *p = data;
    ssize_t k;

    for (;;) {
        k = send(fd, p, n, MSG_NOSIGNAL);
        if (k == (ssize_t)n)
            return 0;
        if (k < 0 && errno != EAGAIN)
            return -1;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
        poll(&writable, 1, -1);
    }
}

static inline void raw_use_all_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

#endif
