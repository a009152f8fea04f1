/* rtmp_peer.h -- a client's connection: its handshake, commands and
 * acknowledgements, without waiting for any of them.
 *
 * What a peer does once it publishes or plays is up to those who gave it its
 * callbacks.  Any surprise ends the program.
 */
#ifndef BENCH_RTMP_PEER_H
#define BENCH_RTMP_PEER_H

#include "load_clock.h"
#include "rtmp_write.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PEER_RECEIVE_BUFFER = 1 << 22,
    PEER_SEND_BUFFER = 1 << 16, /* so that a server that lags shows here */
    PEER_UNSENT_MAX = 1 << 23,
    PEER_ANSWERS = 1 + 2 * RTMP_HELLO, /* of the server's handshake */
    PEER_NAME = 64,
    PEER_CODE = 80
};

/* Numbers of commands, by which they are answered. */
enum { PEER_CONNECT = 1, PEER_CREATE, PEER_START, PEER_LAST };

struct peer {
    int fd, epoll;
    bool publishes;
    bool live;     /* the server has said Start */
    bool answered; /* the last command */
    char name[PEER_NAME];
    uint32_t chunk, id;
    uint32_t window;
    uint64_t bytes, acknowledged;
    size_t answers_size;
    uint8_t *answers; /* while the handshake lasts */
    size_t sent;      /* of what is out */
    bool blocked;
    struct rtmp_out out;
    struct rtmp_reader reader;
    void (*started)(struct peer *p);
    void (*media)(struct peer *p, const struct rtmp_message *m);
};

static inline void peer_events(struct peer *p, int operation, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.ptr = p};

    if (epoll_ctl(p->epoll, operation, p->fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* Send what is out; the rest goes once the socket takes more. */
static inline void peer_flush(struct peer *p)
{
    size_t left = p->out.size - p->sent;
    ssize_t n = 0;

    if (left > 0)
        n = send(p->fd, p->out.data + p->sent, left,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
        die("%s: send: %s", p->name, strerror(errno));
    if (n > 0)
        p->sent += (size_t)n;
    left = p->out.size - p->sent;
    if (left > PEER_UNSENT_MAX)
        die("%s: the server does not read", p->name);
    if (p->sent > 0) {
        memmove(p->out.data, p->out.data + p->sent, left);
        p->out.size = left;
        p->sent = 0;
    }
    if (p->blocked != (left > 0)) {
        p->blocked = left > 0;
        peer_events(p, EPOLL_CTL_MOD, EPOLLIN | (p->blocked ? EPOLLOUT : 0U));
    }
}

static inline void peer_connect_command(struct peer *p)
{
    struct rtmp_out amf = {0};
    char url[PEER_NAME];
    struct sockaddr_in to;
    socklen_t length = sizeof(to);

    if (getpeername(p->fd, (struct sockaddr *)&to, &length) < 0)
        die("getpeername: %s", strerror(errno));
    snprintf(url, sizeof(url), "rtmp://127.0.0.1:%u/live",
             (unsigned)ntohs(to.sin_port));
    amf_command(&amf, "connect", PEER_CONNECT);
    amf_object(&amf);
    amf_key(&amf, "app");
    amf_string(&amf, "live");
    amf_key(&amf, "flashVer");
    amf_string(&amf, "LNX 9,0,124,2");
    amf_key(&amf, "tcUrl");
    amf_string(&amf, url);
    amf_end(&amf);
    rtmp_put_command(&p->out, RTMP_CHUNK, 0, &amf);
}

static inline void peer_create(struct peer *p, double number)
{
    struct rtmp_out amf = {0};

    amf_command(&amf, "createStream", number);
    amf_null(&amf);
    rtmp_put_command(&p->out, p->chunk, 0, &amf);
}

/* Publish or play what it is named after. */
static inline void peer_start(struct peer *p)
{
    struct rtmp_out amf = {0};

    amf_command(&amf, p->publishes ? "publish" : "play", PEER_START);
    amf_null(&amf);
    amf_string(&amf, p->name);
    if (p->publishes)
        amf_string(&amf, "live");
    rtmp_put_command(&p->out, p->chunk, p->id, &amf);
}

static inline void peer_result(struct peer *p, const struct rtmp_command *c)
{
    if (c->number == PEER_CONNECT) {
        rtmp_put_control(&p->out, RTMP_CHUNK_SIZE, p->chunk, -1);
        peer_create(p, PEER_CREATE);
    } else if (c->number == PEER_CREATE) {
        p->id = (uint32_t)c->value;
        if (p->id == 0)
            die("%s: no stream was created", p->name);
        peer_start(p);
    } else if (c->number == PEER_LAST) {
        p->answered = true;
    }
}

/* The code of a status or an error, or what a failure is called without. */
static inline void peer_code(const struct rtmp_message *m, char *code)
{
    static const char key[] = "\0\4code\2";
    const uint8_t *at = memmem(m->body, m->size, key, sizeof(key) - 1);
    size_t n, left;

    strcpy(code, "no code");
    if (!at)
        return;
    at += sizeof(key) - 1;
    left = (size_t)(m->body + m->size - at);
    n = left >= 2 ? (size_t)at[0] << 8 | at[1] : 0;
    if (n == 0 || n > left - 2 || n >= PEER_CODE)
        return;
    memcpy(code, at + 2, n);
    code[n] = '\0';
}

static inline void peer_command(struct peer *p, const struct rtmp_message *m)
{
    struct rtmp_command c;
    char code[PEER_CODE];

    if (!rtmp_read_command(m, &c))
        die("%s: a command that is none", p->name);
    if (rtmp_named(&c, "_result")) {
        peer_result(p, &c);
        return;
    }
    peer_code(m, code);
    if (rtmp_named(&c, "_error"))
        die("%s: refused: %s", p->name, code);
    if (!rtmp_named(&c, "onStatus"))
        return;
    if (strcmp(code, p->publishes ? "NetStream.Publish.Start"
                                  : "NetStream.Play.Start") == 0) {
        p->live = true;
        p->started(p);
    } else if (!p->live && strcmp(code, "NetStream.Play.Reset") != 0) {
        die("%s: refused: %s", p->name, code);
    }
}

static inline void peer_message(void *context, const struct rtmp_message *m)
{
    enum { PING = 6, PONG = 7 };
    struct peer *p = context;

    switch (m->kind) {
    case RTMP_AUDIO:
    case RTMP_VIDEO: p->media(p, m); break;
    case RTMP_COMMAND: peer_command(p, m); break;
    case RTMP_WINDOW: p->window = m->size >= 4 ? rtmp_be32(m->body) : 0; break;
    case RTMP_USER:
        if (m->size >= 6 && m->body[0] == 0 && m->body[1] == PING)
            rtmp_put_user(&p->out, PONG, rtmp_be32(m->body + 2));
        break;
    case RTMP_CHUNK_SIZE:
    case RTMP_ACK:
    case RTMP_BANDWIDTH:
    case RTMP_DATA: break;
    default: die("%s: a message of kind %u", p->name, m->kind);
    }
}

/* The server's packets; returns how many bytes were theirs. */
static inline size_t peer_handshake(struct peer *p, const uint8_t *data,
                                    size_t n)
{
    size_t k = PEER_ANSWERS - p->answers_size;

    if (n < k)
        k = n;
    memcpy(p->answers + p->answers_size, data, k);
    p->answers_size += k;
    if (p->answers_size < PEER_ANSWERS)
        return k;
    if (p->answers[0] != 3)
        die("%s: handshake of version %u", p->name, p->answers[0]);
    rtmp_put(&p->out, p->answers + 1, RTMP_HELLO);
    free(p->answers);
    p->answers = NULL;
    peer_connect_command(p);
    return k;
}

/* At half the window, as others do. */
static inline void peer_acknowledge(struct peer *p)
{
    if (p->window > 0 && p->bytes - p->acknowledged >= p->window / 2) {
        p->acknowledged = p->bytes;
        rtmp_put_control(&p->out, RTMP_ACK, (uint32_t)p->bytes, -1);
    }
    if (p->out.size > 0)
        peer_flush(p);
}

/* Take what arrived, N bytes, and answer what is to be answered. */
static inline void peer_take(struct peer *p, const uint8_t *data, size_t n)
{
    const char *wrong;
    size_t k = 0;

    p->bytes += n;
    if (p->answers)
        k = peer_handshake(p, data, n);
    wrong = rtmp_read(&p->reader, data + k, n - k);
    if (wrong)
        die("%s: not a chunk stream: %s", p->name, wrong);
    peer_acknowledge(p);
}

/* Connect, and go on until the server says Start; fd, name, publishes, chunk,
 * epoll and the callbacks are the caller's to fill in before. */
static inline void peer_open(struct peer *p, const struct sockaddr_in *to,
                             uint32_t keep)
{
    int in = PEER_RECEIVE_BUFFER, out = PEER_SEND_BUFFER, on = 1;

    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        die("socket: %s", strerror(errno));
    if (setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &in, sizeof(in)) < 0 ||
        setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &out, sizeof(out)) < 0 ||
        setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        die("setsockopt: %s", strerror(errno));
    if (connect(p->fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
        die("connect: %s", strerror(errno));
    rtmp_reader_init(&p->reader, keep, peer_message, p);
    p->answers = rtmp_memory(malloc(PEER_ANSWERS));
    rtmp_put_be(&p->out, 3, 1);
    memset(rtmp_more(&p->out, RTMP_HELLO), 0, RTMP_HELLO);
    peer_events(p, EPOLL_CTL_ADD, EPOLLIN);
    peer_flush(p);
}

#endif
