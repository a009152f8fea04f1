/* rtmp_raw.c -- the yardstick of RTMP: passes on what a publisher sends, with
 * one send() for each viewer and read, or for each viewer and window.
 *
 *   rtmp_raw [WINDOW_MS]
 *
 * It answers a handshake and all commands of a client at once, by what it has
 * made up before, and looks into nothing else: the publisher's chunks are sent
 * as they came.  A viewer that takes no more is waited for.
 */
#define _GNU_SOURCE
#include "raw_net.h"
#include "rtmp_wire.h"

#include <time.h>

enum { CLIENTS = 1 << 14, INPUT = 1 << 17, WINDOW_MAX = 1 << 22 };

enum stage { GREETING, ASKING, VIEWING, PUBLISHING };

struct client {
    enum stage stage;
    size_t fill; /* bytes of the handshake so far */
};

struct server {
    int epoll, listener;
    unsigned count;
    int viewers[CLIENTS];
    struct client clients[CLIENTS];
    double window, next; /* seconds */
    size_t held;
    uint8_t input[INPUT], hold[WINDOW_MAX];
};

static double clock_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void greet(struct server *s, int fd, struct client *c, size_t n)
{
    static uint8_t hello[RTMP_HANDSHAKE + RTMP_C2] = {3};

    if (c->fill < RTMP_HANDSHAKE && c->fill + n >= RTMP_HANDSHAKE)
        raw_send(fd, hello, sizeof(hello));
    c->fill += n;
    if (c->fill >= RTMP_HANDSHAKE + RTMP_C2)
        c->stage = ASKING;
    (void)s;
}

/* All commands come in one segment. */
static void answer(struct server *s, int fd, struct client *c, size_t n)
{
    bool publishes = memmem(s->input, n, "publish", 7) != NULL;
    uint8_t out[512], body[256], *at = rtmp_chunk_size(out, 65536), *end;

    end = rtmp_number(rtmp_string(body, "onStatus"), 0);
    *end++ = 5;
    *end++ = 3;
    end = rtmp_property(end, "level", "status");
    end = rtmp_property(end, "code",
                        publishes ? "NetStream.Publish.Start"
                                  : "NetStream.Play.Start");
    end = rtmp_put(end, 9, 3);
    at = rtmp_header(at, 3, 0, (uint32_t)(end - body), RTMP_COMMAND, 1);
    memcpy(at, body, (size_t)(end - body));
    at += end - body;
    raw_send(fd, out, (size_t)(at - out));
    c->stage = publishes ? PUBLISHING : VIEWING;
    if (!publishes)
        s->viewers[s->count++] = fd;
}

static void send_all(struct server *s, const uint8_t *data, size_t n)
{
    unsigned i = 0;

    while (i < s->count) {
        if (raw_send(s->viewers[i], data, n) < 0)
            s->viewers[i] = s->viewers[--s->count];
        else
            i++;
    }
}

static void pass_on(struct server *s, size_t n)
{
    if (s->window == 0) {
        send_all(s, s->input, n);
        return;
    }
    if (s->held + n > WINDOW_MAX) {
        errno = ENOBUFS;
        die("window");
    }
    memcpy(s->hold + s->held, s->input, n);
    s->held += n;
}

/* Returns the milliseconds until the window ends. */
static int end_window(struct server *s)
{
    double now = clock_seconds();

    if (s->window == 0)
        return -1;
    if (now >= s->next) {
        send_all(s, s->hold, s->held);
        s->held = 0;
        s->next = now + s->window;
    }
    return (int)((s->next - now) * 1e3) + 1;
}

static void ready(struct server *s, int fd)
{
    struct client *c = &s->clients[fd];
    ssize_t n =
        recv(fd, s->input,
             c->stage == GREETING ? RTMP_HANDSHAKE + RTMP_C2 - c->fill : INPUT,
             MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        for (unsigned i = 0; i < s->count; i++)
            if (s->viewers[i] == fd)
                s->viewers[i--] = s->viewers[--s->count];
        close(fd);
        return;
    }
    switch (c->stage) {
    case GREETING: greet(s, fd, c, (size_t)n); break;
    case ASKING: answer(s, fd, c, (size_t)n); break;
    case PUBLISHING: pass_on(s, (size_t)n); break;
    case VIEWING: break;
    }
}

int main(int argc, char **argv)
{
    static struct server s;
    struct epoll_event events[RAW_EVENTS];

    if (argc > 1)
        s.window = atof(argv[1]) / 1e3;
    raw_use_all_descriptors();
    s.epoll = raw_epoll();
    s.listener = raw_listen(0);
    raw_watch(s.epoll, s.listener);
    for (;;) {
        int n = raw_wait(s.epoll, events, end_window(&s));

        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (fd != s.listener) {
                ready(&s, fd);
                continue;
            }
            fd = raw_accept(s.listener);
            if (fd < 0 || fd >= CLIENTS)
                continue;
            s.clients[fd] = (struct client){GREETING, 0};
            raw_watch(s.epoll, fd);
        }
    }
}
