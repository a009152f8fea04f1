/* proxy_raw.c -- the yardstick of proxies: what arrives on one side of a pair
 * of sockets is sent on the other.
 *
 * Blind like raw.c: one read and one write per readiness, no buffers, no
 * timeouts, and whoever does not take its bytes is waited for.  The end of
 * either side is the end of both.
 */
#define _GNU_SOURCE
#include "raw_net.h"

enum { INPUT = 1 << 16, DESCRIPTORS = 1 << 16 };

static int other_of[DESCRIPTORS]; /* the other side of a descriptor, or 0 */

static int dial(unsigned short port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        die("connect");
    raw_nodelay(fd);
    return fd;
}

static void accept_one(int epoll, int listener, unsigned short backend)
{
    int up, fd = raw_accept(listener);

    if (fd < 0)
        return;
    up = dial(backend);
    if (fd >= DESCRIPTORS || up >= DESCRIPTORS) {
        errno = EMFILE;
        die("descriptors");
    }
    other_of[fd] = up;
    other_of[up] = fd;
    raw_watch(epoll, fd);
    raw_watch(epoll, up);
}

static void end(int fd)
{
    int other = other_of[fd];

    other_of[fd] = other_of[other] = 0;
    close(fd);
    close(other);
}

static void forward(int fd)
{
    static char input[INPUT];
    ssize_t n;

    if (other_of[fd] == 0)
        return; /* the other side ended in this very turn */
    n = recv(fd, input, sizeof(input), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || raw_send(other_of[fd], input, (size_t)n) < 0)
        end(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[RAW_EVENTS];
    int i, n, listener, epoll = raw_epoll();
    unsigned short backend;

    if (argc != 2) {
        fprintf(stderr, "usage: proxy_raw BACKEND_PORT\n");
        return 2;
    }
    backend = (unsigned short)atoi(argv[1]);
    raw_use_all_descriptors();
    listener = raw_listen(0);
    raw_watch(epoll, listener);
    for (;;) {
        n = raw_wait(epoll, events, -1);
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(epoll, listener, backend);
            else
                forward(events[i].data.fd);
        }
    }
}
