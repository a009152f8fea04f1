/* raw.c -- the yardstick: the least an epoll server does to echo bytes.
 *
 * Blind: it neither frames nor buffers nor times out.  One accept, one read
 * and one write per readiness, level triggered.  A peer that does not take its
 * echo is waited for, which a yardstick may do and a server may not.
 */
#define _GNU_SOURCE
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

enum { EVENTS = 64, INPUT = 1 << 16, BACKLOG = 4096 };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "raw: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Accepted sockets inherit TCP_NODELAY from the listener. */
static int listen_on(unsigned short port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof(sa);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        die("setsockopt");
    if (bind(fd, (struct sockaddr *)&sa, length) < 0)
        die("bind");
    if (listen(fd, BACKLOG) < 0)
        die("listen");
    if (getsockname(fd, (struct sockaddr *)&sa, &length) < 0)
        die("getsockname");
    printf("port %d\n", ntohs(sa.sin_port));
    fflush(stdout);
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

static void accept_one(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (fd >= 0)
        watch(epoll, fd);
    else if (errno != EAGAIN && errno != ECONNABORTED)
        die("accept4");
}

/* What one write left; returns 0, or -1 when the peer is gone. */
static int write_rest(int fd, const char *p, size_t n)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    ssize_t k;

    while (n > 0) {
        poll(&writable, 1, -1);
        k = send(fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EAGAIN)
            return -1;
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

static void echo(int fd)
{
    static char input[INPUT];
    ssize_t k, n = read(fd, input, sizeof(input));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        k = send(fd, input, (size_t)n, MSG_NOSIGNAL);
        if (k == n)
            return;
        if (k < 0 && errno == EAGAIN)
            k = 0;
        if (k >= 0 && write_rest(fd, input + k, (size_t)(n - k)) == 0)
            return;
    }
    close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct rlimit limit;
    int i, n, listener, epoll = epoll_create1(0);

    if (argc > 2) {
        fprintf(stderr, "usage: raw [PORT]\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    listener = listen_on(argc == 2 ? (unsigned short)atoi(argv[1]) : 0);
    if (epoll < 0)
        die("epoll_create1");
    watch(epoll, listener);
    for (;;) {
        n = epoll_wait(epoll, events, EVENTS, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(epoll, listener);
            else
                echo(events[i].data.fd);
        }
    }
}
