/* raw.c -- the yardstick: the least an epoll server does to echo bytes.
 *
 * Blind: it neither frames nor buffers nor times out.  One accept, one read
 * and one write per readiness, level triggered.  A peer that does not take its
 * echo is waited for, which a yardstick may do and a server may not.
 */
#define _GNU_SOURCE
#include "raw_net.h"

enum { INPUT = 1 << 16 };

static void accept_one(int epoll, int listener)
{
    int fd = raw_accept(listener);

    if (fd >= 0)
        raw_watch(epoll, fd);
}

static void echo(int fd)
{
    static char input[INPUT];
    ssize_t n = read(fd, input, sizeof(input));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || raw_send(fd, input, (size_t)n) < 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[RAW_EVENTS];
    int i, n, listener, epoll = raw_epoll();

    if (argc > 2) {
        fprintf(stderr, "usage: raw [PORT]\n");
        return 2;
    }
    raw_use_all_descriptors();
    listener = raw_listen(argc == 2 ? (unsigned short)atoi(argv[1]) : 0);
    raw_watch(epoll, listener);
    for (;;) {
        n = raw_wait(epoll, events, -1);
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(epoll, listener);
            else
                echo(events[i].data.fd);
        }
    }
}
