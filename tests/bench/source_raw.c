/* source_raw.c -- what proxies fetch bulk data from: whoever connects is sent
 * SIZE bytes (bulk_bytes.h), and then the end.
 *
 * Blind like raw.c: nothing is read, and nothing times out.
 */
#define _GNU_SOURCE
#include "bulk_bytes.h"
#include "raw_net.h"

enum { DESCRIPTORS = 1 << 16 };

static size_t sent[DESCRIPTORS];
static unsigned char table[BULK_TABLE];

static void accept_one(int epoll, int listener)
{
    struct epoll_event ev = {.events = EPOLLOUT};
    int fd = raw_accept(listener);

    if (fd < 0)
        return;
    if (fd >= DESCRIPTORS) {
        errno = EMFILE;
        die("descriptors");
    }
    sent[fd] = 0;
    ev.data.fd = fd;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

static void fill(int fd, size_t size)
{
    size_t left = size - sent[fd];
    ssize_t n = send(fd, bulk_at(table, sent[fd]),
                     left < BULK_PIECE ? left : BULK_PIECE, MSG_NOSIGNAL);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0)
        sent[fd] += (size_t)n;
    if (n < 0 || sent[fd] == size)
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[RAW_EVENTS];
    int i, n, listener, epoll = raw_epoll();
    size_t size;

    if (argc != 2) {
        fprintf(stderr, "usage: source_raw SIZE\n");
        return 2;
    }
    size = strtoul(argv[1], NULL, 10);
    bulk_fill(table);
    raw_use_all_descriptors();
    listener = raw_listen(0);
    raw_watch(epoll, listener);
    for (;;) {
        n = raw_wait(epoll, events, -1);
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_one(epoll, listener);
            else
                fill(events[i].data.fd, size);
        }
    }
}
