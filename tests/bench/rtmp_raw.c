/* rtmp_raw.c -- the yardstick of RTMP: one send() per viewer and message, or
 * per viewer and merge window.
 *
 *   rtmp_raw [MERGE_MS]
 *
 * There is one stream, whatever its name, and no more of the protocol than
 * rtmp_load needs.  Each message is cut into chunks once, and lies in a ring
 * until all viewers have been sent it, so what a window merged is one piece;
 * who falls a ring behind ends the program.
 */
#define _GNU_SOURCE
#include "raw_net.h"
#include "rtmp_media.h"

#include <time.h>

enum {
    RING = 1 << 26,
    INPUT = 1 << 16,
    DESCRIPTORS = 1 << 16,
    CHUNK = 60000,
    WINDOW = 5000000,
    BEHIND_MS = 5 /* until who took no more is offered more */
};

struct server;

struct client {
    int fd;
    struct server *server;
    size_t hello; /* bytes of the handshake so far */
    bool plays;
    uint64_t sent; /* as a viewer, of all that was published */
    struct rtmp_reader reader;
};

struct server {
    int epoll, listener;
    struct client *clients[DESCRIPTORS]; /* by descriptor */
    unsigned count;
    struct client *viewers[DESCRIPTORS];
    struct rtmp_out headers; /* what a viewer is sent first */
    struct rtmp_out message;
    uint8_t *ring, *input;
    uint64_t head;     /* bytes published since the start */
    bool behind;       /* some viewer took no more */
    double merge, due; /* seconds of a window; when this one ends */
};

static double seconds_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Send what V lacks, or what it takes. */
static void serve(struct server *s, struct client *v)
{
    uint64_t at, n;
    ssize_t k;

    if (s->head - v->sent > RING) {
        errno = ENOBUFS;
        die("a viewer is a whole ring behind");
    }
    while (v->sent < s->head) {
        at = v->sent % RING;
        n = s->head - v->sent;
        n = n < RING - at ? n : RING - at;
        k = send(v->fd, s->ring + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno != EAGAIN)
            v->sent = s->head; /* it left, which reading will tell as well */
        else if (k > 0)
            v->sent += (uint64_t)k;
        if (k < (ssize_t)n) {
            s->behind |= v->sent < s->head;
            return;
        }
    }
}

static void serve_all(struct server *s)
{
    unsigned i;

    s->behind = false;
    for (i = 0; i < s->count; i++)
        serve(s, s->viewers[i]);
}

/* Serve if it is time; returns the milliseconds until it is, or -1. */
static int tick(struct server *s)
{
    double now = seconds_now();

    if (s->count == 0)
        return -1;
    if (s->merge == 0) {
        if (s->behind)
            serve_all(s);
        return s->behind ? BEHIND_MS : -1;
    }
    if (now >= s->due) {
        serve_all(s);
        while (s->due <= now)
            s->due += s->merge;
    } else if (s->behind) {
        serve_all(s);
    }
    return s->behind ? BEHIND_MS : (int)((s->due - now) * 1e3) + 1;
}

static void append(struct server *s, const struct rtmp_out *from)
{
    uint64_t at = s->head % RING, n = from->size;
    uint64_t k = n < RING - at ? n : RING - at;

    memcpy(s->ring + at, from->data, k);
    memcpy(s->ring, from->data + k, n - k);
    s->head += n;
}

static void publish(struct server *s, const struct rtmp_message *m)
{
    struct rtmp_message out = *m;
    unsigned csid = m->kind == RTMP_VIDEO ? 6 : 4;

    out.id = 1;
    if (media_is_header(m)) {
        rtmp_put_message(&s->headers, CHUNK, 0, csid, &out);
    } else if (s->count > 0) {
        s->message.size = 0;
        rtmp_put_message(&s->message, CHUNK, 0, csid, &out);
        append(s, &s->message);
        if (s->merge == 0)
            serve_all(s);
    }
}

static void answer_status(struct rtmp_out *out, const char *code)
{
    struct rtmp_out amf = {0};

    amf_command(&amf, "onStatus", 0);
    amf_null(&amf);
    amf_object(&amf);
    amf_key(&amf, "level");
    amf_string(&amf, "status");
    amf_key(&amf, "code");
    amf_string(&amf, code);
    amf_end(&amf);
    rtmp_put_command(out, CHUNK, 1, &amf);
}

static void answer_result(struct rtmp_out *out, double number, bool created)
{
    struct rtmp_out amf = {0};

    amf_command(&amf, "_result", number);
    amf_null(&amf);
    if (created)
        amf_number(&amf, 1);
    rtmp_put_command(out, CHUNK, 0, &amf);
}

static void answer(struct client *c, const struct rtmp_message *m)
{
    struct server *s = c->server;
    struct rtmp_command command;
    struct rtmp_out out = {0};

    if (!rtmp_read_command(m, &command))
        return;
    if (rtmp_named(&command, "connect")) {
        rtmp_put_control(&out, RTMP_WINDOW, WINDOW, -1);
        rtmp_put_control(&out, RTMP_CHUNK_SIZE, CHUNK, -1);
        answer_result(&out, command.number, false);
    } else if (rtmp_named(&command, "createStream")) {
        answer_result(&out, command.number, true);
    } else if (rtmp_named(&command, "publish")) {
        s->headers.size = 0;
        answer_status(&out, "NetStream.Publish.Start");
    } else if (rtmp_named(&command, "play")) {
        answer_status(&out, "NetStream.Play.Start");
        rtmp_put(&out, s->headers.data, s->headers.size);
        c->plays = true;
        c->sent = s->head;
        s->viewers[s->count++] = c;
    }
    raw_send(c->fd, out.data, out.size);
    free(out.data);
}

static void take(void *context, const struct rtmp_message *m)
{
    struct client *c = context;

    if (m->kind == RTMP_AUDIO || m->kind == RTMP_VIDEO)
        publish(c->server, m);
    else if (m->kind == RTMP_COMMAND)
        answer(c, m);
}

static void leave(struct client *c)
{
    struct server *s = c->server;
    unsigned i;

    for (i = 0; c->plays && i < s->count; i++) {
        if (s->viewers[i] == c) {
            s->viewers[i] = s->viewers[--s->count];
            break;
        }
    }
    s->clients[c->fd] = NULL;
    close(c->fd);
    rtmp_reader_free(&c->reader);
    free(c);
}

/* The client's packets are answered by as many bytes, whatever they are;
 * returns how many of the N there are theirs. */
static size_t handshake(struct client *c, size_t n)
{
    static const uint8_t hello[1 + 2 * RTMP_HELLO] = {3};
    const size_t first = 1 + RTMP_HELLO, all = sizeof(hello);
    size_t k = all - c->hello < n ? all - c->hello : n;
    bool answered = c->hello >= first;

    c->hello += k;
    if (!answered && c->hello >= first)
        raw_send(c->fd, hello, sizeof(hello));
    return k;
}

static void readable(struct server *s, struct client *c)
{
    ssize_t n = recv(c->fd, s->input, INPUT, MSG_DONTWAIT);
    const char *wrong;
    size_t k;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        leave(c);
        return;
    }
    k = handshake(c, (size_t)n);
    wrong = rtmp_read(&c->reader, s->input + k, (size_t)n - k);
    if (wrong) {
        errno = EPROTO;
        die(wrong);
    }
}

static void arrived(struct server *s)
{
    int fd = raw_accept(s->listener);
    struct client *c;

    if (fd < 0)
        return;
    c = rtmp_memory(calloc(1, sizeof(*c)));
    c->fd = fd;
    c->server = s;
    rtmp_reader_init(&c->reader, UINT32_MAX, take, c);
    s->clients[fd] = c;
    raw_watch(s->epoll, fd);
}

int main(int argc, char **argv)
{
    static struct server s;
    struct epoll_event events[RAW_EVENTS];
    int i, n;

    raw_use_all_descriptors();
    s.merge = argc > 1 ? atof(argv[1]) / 1e3 : 0;
    s.epoll = raw_epoll();
    s.ring = rtmp_memory(malloc(RING));
    s.input = rtmp_memory(malloc(INPUT));
    s.listener = raw_listen(0);
    raw_watch(s.epoll, s.listener);
    for (;;) {
        n = raw_wait(s.epoll, events, tick(&s));
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == s.listener)
                arrived(&s);
            else if (s.clients[events[i].data.fd])
                readable(&s, s.clients[events[i].data.fd]);
        }
    }
}
