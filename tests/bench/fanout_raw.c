/* fanout_raw.c -- the yardstick of fan-out: one send() per follower and blob,
 * or per follower and merge window.
 *
 * A connection says "follow NAME MERGE_MS\n" and is sent every blob, or
 * "publish NAME RATE SIZE MERGE_MS\n", which starts it, and later "stop\n",
 * which is answered by "stopped BLOBS\n" once every follower has been sent
 * all.  There is one channel, whatever its name.  Blobs lie in a ring, so what
 * a window merged is one piece; who falls a ring behind ends the program.
 */
#define _GNU_SOURCE
#include "fanout_blob.h"
#include "payload.h"
#include "raw_net.h"

#include <stdbool.h>

enum { RING_BLOBS = 1024, DESCRIPTORS = 1 << 16, LINE = 256 };

struct follower {
    int fd;
    uint64_t sent; /* bytes since the start */
};

struct server {
    int epoll;
    int listener;
    unsigned count;
    struct follower *followers;
    unsigned char *ring;
    uint64_t size, head; /* bytes: of a blob, of all that was published */
    uint64_t blobs;
    bool publishing;
    double rate, merge; /* blobs a second, seconds */
    double start, next_send;
};

/* Send what F lacks; whoever takes no more now is served the next time. */
static void serve(const struct server *s, struct follower *f)
{
    uint64_t room = s->size * RING_BLOBS, at, n;
    ssize_t k;

    if (s->head - f->sent > room) {
        errno = ENOBUFS;
        die("a follower is a whole ring behind");
    }
    while (f->fd >= 0 && f->sent < s->head) {
        at = f->sent % room;
        n = s->head - f->sent;
        n = n < room - at ? n : room - at;
        k = send(f->fd, s->ring + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno == EAGAIN)
            return;
        if (k < 0) {
            close(f->fd);
            f->fd = -1;
            return;
        }
        f->sent += (uint64_t)k;
        if ((uint64_t)k < n)
            return;
    }
}

static void serve_all(const struct server *s)
{
    unsigned i;

    for (i = 0; i < s->count; i++)
        serve(s, &s->followers[i]);
}

static void append(struct server *s, double now)
{
    unsigned char *blob = s->ring + s->head % (s->size * RING_BLOBS);

    blob_header(blob, (uint32_t)s->size, (uint32_t)s->blobs, now);
    payload_fill(blob + BLOB_HEADER, s->size - BLOB_HEADER, s->blobs, 0);
    s->head += s->size;
    s->blobs++;
}

/* Publish and send what is due; returns the milliseconds until more is. */
static int publish(struct server *s)
{
    double due, now = blob_now();

    if (!s->publishing)
        return -1;
    while (s->start + (double)s->blobs / s->rate <= now)
        append(s, now);
    if (now >= s->next_send) {
        serve_all(s);
        s->next_send += s->merge;
        now = blob_now();
    }
    due = s->start + (double)s->blobs / s->rate;
    if (s->merge > 0 && s->next_send < due)
        due = s->next_send;
    return due <= now ? 0 : (int)((due - now) * 1e3) + 1;
}

static void start(struct server *s, const char *line)
{
    unsigned size = 0, merge = 0;

    if (sscanf(line, "publish %*s %lf %u %u", &s->rate, &size, &merge) != 3 ||
        s->rate <= 0 || size < BLOB_HEADER || s->publishing) {
        errno = EINVAL;
        die(line);
    }
    s->ring = calloc(RING_BLOBS, size);
    if (!s->ring)
        die("ring");
    s->size = size;
    s->merge = merge / 1e3;
    s->blobs = s->head = 0;
    s->start = blob_now();
    s->next_send = s->merge > 0 ? s->start + s->merge : 0;
    s->publishing = true;
}

static void stop(struct server *s, int fd)
{
    char line[LINE];
    unsigned i;
    int n;

    if (!s->publishing)
        return;
    for (i = 0; i < s->count; i++) {
        struct follower *f = &s->followers[i];
        struct pollfd writable = {.fd = f->fd, .events = POLLOUT};

        for (serve(s, f); f->fd >= 0 && f->sent < s->head; serve(s, f))
            poll(&writable, 1, -1);
        if (f->fd >= 0)
            raw_watch(s->epoll, f->fd); /* its end is all that may come */
    }
    s->publishing = false;
    s->count = 0;
    free(s->ring);
    n = snprintf(line, sizeof(line), "stopped %llu\n",
                 (unsigned long long)s->blobs);
    raw_send(fd, line, (size_t)n);
}

/* A line arrives whole: it is short, and its sender awaits an answer. */
static void command(struct server *s, int fd)
{
    char line[LINE];
    ssize_t n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
        return;
    }
    line[n] = '\0';
    if (strncmp(line, "stop\n", 5) == 0) {
        stop(s, fd);
        return;
    }
    if (strncmp(line, "follow ", 7) == 0) {
        epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
        s->followers[s->count++] = (struct follower){.fd = fd};
    } else {
        start(s, line);
    }
    raw_send(fd, "ok\n", 3);
}

int main(void)
{
    static struct server s;
    struct epoll_event events[RAW_EVENTS];
    int i, n, fd;

    raw_use_all_descriptors();
    s.epoll = raw_epoll();
    s.followers = calloc(DESCRIPTORS, sizeof(*s.followers));
    if (!s.followers)
        die("followers");
    s.listener = raw_listen(0);
    raw_watch(s.epoll, s.listener);
    for (;;) {
        n = raw_wait(s.epoll, events, publish(&s));
        for (i = 0; i < n; i++) {
            if (events[i].data.fd != s.listener) {
                command(&s, events[i].data.fd);
                continue;
            }
            fd = raw_accept(s.listener);
            if (fd >= 0)
                raw_watch(s.epoll, fd);
        }
    }
}
