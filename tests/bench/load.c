/* load.c -- sends unique messages to an echo server and checks what returns.
 *
 * One thread, one epoll.  Owns its connections; knows the server only by its
 * address and, for CPU time, its process ids.  Every readiness costs one read
 * and at most one write, whatever the depth, so that the cost of a message is
 * the server's and not a matter of how it was sent.
 */
#define _GNU_SOURCE
#include "histogram.h"
#include "load_clock.h"
#include "load_options.h"
#include "payload.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 64,
    INPUT = 1 << 16,
    OPENING = 32,  /* idle connections whose echo is awaited at a time */
    SOURCES = 200, /* client addresses, so that ports do not run out */
    TICK_MS = 200  /* how often silence is looked for */
};

/* A message on its way: its bytes stay until they have come back. */
struct slot {
    uint64_t sent_at;
    size_t length;
    unsigned char *bytes;
};

struct conn {
    int fd;
    bool awaits_output;
    unsigned head; /* slot of the oldest message in flight */
    unsigned inflight;
    size_t matched;    /* bytes of the oldest that have come back */
    size_t out_length; /* queued, not yet written: out[out_start..] */
    size_t out_start;
    unsigned char *out;
    struct slot *slots;
};

struct load {
    struct load_options options;
    enum payload_kind kind;
    int epoll;
    bool stopping; /* nothing new is sent; what is in flight comes back */
    unsigned opened;
    unsigned inflight; /* over all connections */
    uint64_t serial;
    uint64_t messages;
    uint64_t next_tick;
    struct conn *conns;
    struct histogram latency;
    unsigned char input[INPUT];
};

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        die("out of memory");
    return p;
}

static void conn_init(struct conn *c, const struct load_options *o)
{
    size_t stride = payload_max(o->size);
    unsigned char *bytes = allocate(o->depth, stride);
    unsigned i;

    c->fd = -1;
    c->out = allocate(o->depth, stride);
    c->slots = allocate(o->depth, sizeof(*c->slots));
    for (i = 0; i < o->depth; i++)
        c->slots[i].bytes = bytes + i * stride;
}

static void watch(struct load *l, struct conn *c, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};

    if (epoll_ctl(l->epoll, op, c->fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void set_option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
        die("setsockopt: %s", strerror(errno));
}

/* A connection that the client closes first keeps its port for a minute, so
 * take turns among loopback addresses: each has ports of its own. */
static void bind_source(const struct load *l, int fd)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};

    if (ntohl(l->options.address.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + l->opened % SOURCES);
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        die("bind: %s", strerror(errno));
}

/* A header of the PROXY protocol; a socket that is new takes so little. */
static void say_who(int fd, unsigned version)
{
    static const char first[] = "PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n";
    static const char second[] = "\r\n\r\n\0\r\nQUIT\n!\x11\0\xc"
                                 "\1\2\3\4\5\6\7\x8\0\x50\1\xbb";
    const char *head = version == 1 ? first : second;
    size_t size = version == 1 ? sizeof(first) - 1 : sizeof(second) - 1;

    if (version && send(fd, head, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("send: %s", strerror(errno));
}

/* The send timeout bounds connect(), which alone may block here. */
static void conn_open(struct load *l, struct conn *c)
{
    const struct load_options *o = &l->options;
    struct timeval wait = {
        .tv_sec = (time_t)o->timeout,
        .tv_usec =
            (suseconds_t)((o->timeout - (double)(time_t)o->timeout) * 1e6)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0)
        die("setsockopt: %s", strerror(errno));
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (o->mode == LOAD_CONNCLOSE)
        bind_source(l, fd);
    if (connect(fd, (const struct sockaddr *)&o->address, sizeof(o->address)) <
        0)
        die("connect to port %d: %s", ntohs(o->address.sin_port),
            errno == EINPROGRESS ? "timed out" : strerror(errno));
    say_who(fd, o->proxy);
    c->fd = fd;
    c->awaits_output = false;
    l->opened++;
    watch(l, c, EPOLL_CTL_ADD, EPOLLIN);
}

static void conn_flush(struct load *l, struct conn *c)
{
    bool left;
    ssize_t n;

    if (c->out_length == 0)
        return;
    n = send(c->fd, c->out + c->out_start, c->out_length,
             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        die("send: %s", strerror(errno));
    if (n > 0) {
        c->out_start += (size_t)n;
        c->out_length -= (size_t)n;
    }
    left = c->out_length > 0;
    if (left != c->awaits_output)
        watch(l, c, EPOLL_CTL_MOD, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
    c->awaits_output = left;
    if (!left)
        c->out_start = 0;
}

/* Make one more message.  The room is there: OUT holds what DEPTH slots do,
 * and what is queued belongs to messages in flight. */
static void conn_queue(struct load *l, struct conn *c, uint64_t now)
{
    struct slot *s = &c->slots[(c->head + c->inflight) % l->options.depth];

    s->length = payload_build(s->bytes, l->kind, l->options.size, l->serial++);
    s->sent_at = now;
    memcpy(c->out + c->out_start + c->out_length, s->bytes, s->length);
    c->out_length += s->length;
    c->inflight++;
    l->inflight++;
}

/* Fill up to the depth with new messages, and send them in one write. */
static void conn_send(struct load *l, struct conn *c, uint64_t now)
{
    if (c->out_start > 0) {
        memmove(c->out, c->out + c->out_start, c->out_length);
        c->out_start = 0;
    }
    while (c->inflight < l->options.depth)
        conn_queue(l, c, now);
    conn_flush(l, c);
}

static void mismatch(const struct load *l, const struct slot *s,
                     const unsigned char *got, size_t at)
{
    while (*got == s->bytes[at]) {
        got++;
        at++;
    }
    die("message %llu came back changed: byte %zu of %zu is %02x, was %02x",
        (unsigned long long)l->messages, at, s->length, *got, s->bytes[at]);
}

/* Compare N bytes that came back with the oldest messages in flight. */
static void conn_match(struct load *l, struct conn *c, size_t n, uint64_t now)
{
    const unsigned char *p = l->input;
    struct slot *s;
    size_t k;

    for (; n > 0; p += k, n -= k) {
        if (c->inflight == 0)
            die("the server sent %zu bytes more than it was sent", n);
        s = &c->slots[c->head];
        k = s->length - c->matched;
        k = k < n ? k : n;
        if (memcmp(p, s->bytes + c->matched, k) != 0)
            mismatch(l, s, p, c->matched);
        c->matched += k;
        if (c->matched < s->length)
            return;
        c->matched = 0;
        c->head = (c->head + 1) % l->options.depth;
        c->inflight--;
        l->inflight--;
        l->messages++;
        histogram_add(&l->latency, now - s->sent_at);
    }
}

/* What a connection does once its answers have come. */
static void conn_next(struct load *l, struct conn *c, uint64_t now)
{
    if (l->options.mode == LOAD_IDLE)
        return;
    if (l->options.mode != LOAD_CONNCLOSE) {
        if (!l->stopping)
            conn_send(l, c, now);
        return;
    }
    if (c->inflight > 0)
        return;
    close(c->fd);
    c->fd = -1;
    if (l->stopping)
        return;
    now = now_ns();
    conn_open(l, c);
    conn_send(l, c, now);
}

static void conn_readable(struct load *l, struct conn *c)
{
    ssize_t n = recv(c->fd, l->input, sizeof(l->input), MSG_DONTWAIT);
    uint64_t now;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        die("recv: %s, after %llu messages", strerror(errno),
            (unsigned long long)l->messages);
    if (n == 0)
        die("the server closed a connection, after %llu messages",
            (unsigned long long)l->messages);
    now = now_ns();
    conn_match(l, c, (size_t)n, now);
    conn_next(l, c, now);
}

/* Silence is an error: look for the message that has waited too long. */
static void check_silence(struct load *l)
{
    uint64_t now = now_ns(), limit = (uint64_t)(l->options.timeout * 1e9);
    const struct conn *c;
    unsigned i;

    if (now < l->next_tick)
        return;
    l->next_tick = now + TICK_MS * 1000000U;
    for (i = 0; i < l->options.connections; i++) {
        c = &l->conns[i];
        if (c->inflight > 0 && now - c->slots[c->head].sent_at > limit)
            die("no answer within %g s, after %llu messages",
                l->options.timeout, (unsigned long long)l->messages);
    }
}

/* Serve what is ready, waiting for at most WAIT milliseconds. */
static void turn(struct load *l, int wait)
{
    struct epoll_event events[EVENTS];
    int i, n = epoll_wait(l->epoll, events, EVENTS, wait);

    if (n < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (i = 0; i < n; i++) {
        if (events[i].events & EPOLLOUT)
            conn_flush(l, events[i].data.ptr);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            conn_readable(l, events[i].data.ptr);
    }
    check_silence(l);
}

static void turn_until(struct load *l, uint64_t end)
{
    uint64_t now, left;

    for (now = now_ns(); now < end; now = now_ns()) {
        left = (end - now) / 1000000U + 1;
        turn(l, left < TICK_MS ? (int)left : TICK_MS);
    }
}

/* Open all connections, each with its first messages on the way. */
static void open_all(struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.connections; i++) {
        while (l->options.mode == LOAD_IDLE && l->inflight >= OPENING)
            turn(l, TICK_MS);
        conn_open(l, &l->conns[i]);
        conn_send(l, &l->conns[i], now_ns());
    }
}

static void print_result(const struct load *l, const struct mark *from,
                         const struct mark *to)
{
    const struct load_options *o = &l->options;
    uint64_t messages = to->messages - from->messages;
    double seconds = (double)(to->time - from->time) / 1e9;
    double cpu = to->server_cpu - from->server_cpu;

    printf("{\"mode\":\"%s\",\"connections\":%u,\"depth\":%u,\"size\":%zu,"
           "\"seconds\":%.6f,\"messages\":%llu,\"rate\":%.1f,",
           load_modes[o->mode], o->connections, o->depth, o->size, seconds,
           (unsigned long long)messages, (double)messages / seconds);
    if (o->pids.count > 0)
        printf("\"cpu_us\":%.4f,\"server_busy\":%.3f,",
               cpu * 1e6 / (double)messages, cpu / seconds);
    printf("\"load_busy\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"max_us\":%.1f}\n",
           (to->own_cpu - from->own_cpu) / seconds,
           (double)histogram_at(&l->latency, 0.50) / 1e3,
           (double)histogram_at(&l->latency, 0.99) / 1e3,
           (double)l->latency.max / 1e3);
}

static struct mark mark_now(const struct load *l)
{
    return take_mark(l->messages, &l->options.pids);
}

static void measure(struct load *l)
{
    struct mark from, to;

    open_all(l);
    while (l->messages == 0)
        turn(l, TICK_MS);
    turn_until(l, now_ns() + (uint64_t)(l->options.warmup * 1e9));
    histogram_reset(&l->latency);
    from = mark_now(l);
    turn_until(l, from.time + (uint64_t)(l->options.seconds * 1e9));
    while (l->messages == from.messages)
        turn(l, TICK_MS); /* a starved server, or silence, which ends us */
    to = mark_now(l);
    print_result(l, &from, &to);
    l->stopping = true;
    while (l->inflight > 0)
        turn(l, TICK_MS);
}

/* Hold quiet connections until standard input ends. */
static void hold(struct load *l)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = l->epoll, .events = POLLIN}};
    char line[64];

    open_all(l);
    while (l->inflight > 0)
        turn(l, TICK_MS);
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        if (fds[1].revents)
            turn(l, TICK_MS);
        if (fds[0].revents && read(STDIN_FILENO, line, sizeof(line)) <= 0)
            return;
    }
}

static void raise_descriptor_limit(unsigned connections)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("getrlimit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < connections + 16)
        die("%u connections want a descriptor limit (ulimit -n) above %llu",
            connections, (unsigned long long)limit.rlim_max);
}

int main(int argc, char **argv)
{
    static struct load l;
    unsigned i;

    load_parse(&l.options, argc, argv);
    raise_descriptor_limit(l.options.connections);
    l.kind = l.options.mode == LOAD_FRAMED  ? PAYLOAD_FRAMED
             : l.options.mode == LOAD_LINES ? PAYLOAD_LINE
                                            : PAYLOAD_RAW;
    l.serial = clock_ns(CLOCK_REALTIME);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    l.conns = allocate(l.options.connections, sizeof(*l.conns));
    for (i = 0; i < l.options.connections; i++)
        conn_init(&l.conns[i], &l.options);
    if (l.options.mode == LOAD_IDLE)
        hold(&l);
    else
        measure(&l);
    return 0;
}
