/* tls_load.c -- many clients of a server over TLS, which check what comes.
 *
 * One thread, one epoll, OpenSSL.  Owns its connections and the sessions that
 * they resume; knows the server only by its port and, for CPU time, its process
 * ids.  A full handshake costs the client more than the server: what counts is
 * the server's CPU time, not how many there are in a second.
 */
#define _GNU_SOURCE
#include "histogram.h"
#include "payload.h"
#include "tls_client.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum {
    EVENTS = 64,
    OPENING = 32, /* idle connections whose echo is awaited at a time */
    TRIES = 20,   /* handshakes that a ticket is waited for */
    TICK_MS = 200 /* how often silence is looked for */
};

struct conn {
    int fd; /* -1: closed */
    bool ready;
    bool resumes;
    bool owed;       /* something is expected of the server */
    uint64_t since;  /* when it began to be, or last got further */
    uint64_t serial; /* of the message in flight */
    size_t got;      /* bytes of the message, or of the download */
    SSL *ssl;
    SSL_SESSION *session; /* to be resumed, or NULL */
};

struct load {
    struct tls_options options;
    SSL_CTX *ctx;
    int epoll;
    bool stopping; /* nothing new is begun */
    unsigned opened;
    unsigned busy;       /* connections that something is expected on */
    unsigned unticketed; /* connections that cannot be resumed yet */
    uint64_t serial;
    uint64_t messages;
    uint64_t bytes;
    uint64_t next_tick;
    struct conn *conns;
    struct histogram latency;
    unsigned char table[BULK_TABLE];
    unsigned char input[BULK_PIECE];
};

static struct load load; /* one, as OpenSSL's callback has to find it */

/* A ticket came: the next connection in this place resumes it. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct conn *c = SSL_get_app_data(ssl);

    if (!c->session)
        load.unticketed--;
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void keep_sessions(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
}

static void owe(struct load *l, struct conn *c, bool owed, uint64_t now)
{
    l->busy += owed - c->owed;
    c->owed = owed;
    c->since = now;
}

static void conn_step(struct load *l, struct conn *c);

static void conn_open(struct load *l, struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

    owe(l, c, true, now_ns());
    c->fd = dial(&l->options, l->opened++);
    c->ready = false;
    c->resumes = c->session != NULL;
    c->got = 0;
    c->ssl = SSL_new(l->ctx);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) || !SSL_set_app_data(c->ssl, c))
        die_tls("connection");
    SSL_set_connect_state(c->ssl);
    if (c->resumes && !SSL_set_session(c->ssl, c->session))
        die_tls("session");
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
    conn_step(l, c);
}

/* Saying goodbye keeps the session good. */
static void conn_close(struct load *l, struct conn *c)
{
    ERR_clear_error();
    SSL_shutdown(c->ssl);
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c->ssl);
    close(c->fd);
    c->fd = -1;
    owe(l, c, false, 0);
    if (!l->stopping)
        conn_open(l, c);
}

/* One that cannot block: at most one record is in flight. */
static void conn_send(struct load *l, struct conn *c)
{
    unsigned char message[TLS_ECHO_MAX + PAYLOAD_HEADER + PAYLOAD_JITTER];

    c->serial = l->serial++;
    c->got = 0;
    payload_build(message, PAYLOAD_RAW, l->options.size, c->serial);
    owe(l, c, true, now_ns());
    if (SSL_write(c->ssl, message, (int)l->options.size) <= 0)
        die_tls("SSL_write");
}

/* What N bytes in a row, which are in INPUT, should be. */
static const unsigned char *expected(const struct load *l, const struct conn *c,
                                     unsigned char *message)
{
    if (l->options.mode == TLS_HANDSHAKE)
        return (const unsigned char *)"x";
    if (l->options.mode == TLS_BULK)
        return bulk_at(l->table, c->got);
    payload_build(message, PAYLOAD_RAW, l->options.size, c->serial);
    return message + c->got;
}

static void conn_match(struct load *l, struct conn *c, size_t n)
{
    unsigned char message[TLS_ECHO_MAX + PAYLOAD_HEADER + PAYLOAD_JITTER];
    size_t size = l->options.mode == TLS_HANDSHAKE ? 1 : l->options.size;

    if (n > size - c->got || !c->owed)
        die("the server sent more than it should, after %llu messages",
            (unsigned long long)l->messages);
    if (memcmp(l->input, expected(l, c, message), n) != 0)
        die("message %llu came changed, somewhere in %zu bytes from %zu on",
            (unsigned long long)l->messages, n, c->got);
    c->got += n;
    l->bytes += n;
}

static void count(struct load *l, const struct conn *c, uint64_t now)
{
    l->messages++;
    histogram_add(&l->latency, now - c->since);
}

/* After the bytes of one read. */
static void conn_next(struct load *l, struct conn *c, uint64_t now)
{
    if (l->options.mode == TLS_BULK)
        c->since = now;
    if (l->options.mode == TLS_BULK || l->options.mode == TLS_HANDSHAKE ||
        c->got < l->options.size)
        return;
    count(l, c, now);
    owe(l, c, false, now);
    if (l->options.mode == TLS_ECHO && !l->stopping)
        conn_send(l, c);
}

/* The server closed. */
static void conn_ended(struct load *l, struct conn *c)
{
    if (l->options.mode != TLS_HANDSHAKE &&
        (l->options.mode != TLS_BULK || c->got < l->options.size))
        die("the server closed a connection, after %llu messages",
            (unsigned long long)l->messages);
    count(l, c, now_ns());
    conn_close(l, c);
}

/* Whether the handshake is done now. */
static bool conn_ready(struct load *l, struct conn *c)
{
    int r;

    ERR_clear_error();
    errno = 0;
    r = SSL_do_handshake(c->ssl);
    if (r != 1 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ)
        return false;
    if (r != 1)
        die_tls("handshake");
    if (c->resumes && !SSL_session_reused(c->ssl))
        die("the server did not resume a session, after %llu messages",
            (unsigned long long)l->messages);
    c->ready = true;
    if (l->options.mode == TLS_ECHO || l->options.mode == TLS_IDLE)
        conn_send(l, c);
    return true;
}

/* Do what can be done: the library reads ahead, so epoll does not know of what
 * it has. */
static void conn_step(struct load *l, struct conn *c)
{
    int n, error;

    if (!c->ready && !conn_ready(l, c))
        return;
    do {
        ERR_clear_error();
        errno = 0;
        n = SSL_read(c->ssl, l->input, sizeof(l->input));
        if (n <= 0) {
            error = SSL_get_error(c->ssl, n);
            if (error == SSL_ERROR_WANT_READ)
                return;
            if (error != SSL_ERROR_ZERO_RETURN && errno != ECONNRESET)
                die_tls("SSL_read");
            conn_ended(l, c);
            return;
        }
        conn_match(l, c, (size_t)n);
        conn_next(l, c, now_ns());
    } while (SSL_has_pending(c->ssl));
}

/* Silence is an error. */
static void check_silence(struct load *l)
{
    uint64_t now = now_ns(), limit = (uint64_t)(l->options.timeout * 1e9);
    unsigned i;

    if (now < l->next_tick)
        return;
    l->next_tick = now + TICK_MS * 1000000U;
    for (i = 0; i < l->options.connections; i++)
        if (l->conns[i].owed && now - l->conns[i].since > limit)
            die("no answer within %g s, after %llu messages",
                l->options.timeout, (unsigned long long)l->messages);
}

static void turn(struct load *l, int wait)
{
    struct epoll_event events[EVENTS];
    int i, n = epoll_wait(l->epoll, events, EVENTS, wait);

    if (n < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (i = 0; i < n; i++)
        conn_step(l, events[i].data.ptr);
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

static void open_all(struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.connections; i++) {
        while (l->options.mode == TLS_IDLE && l->busy >= OPENING)
            turn(l, TICK_MS);
        conn_open(l, &l->conns[i]);
    }
}

/* Seconds of the server's CPU for a GB, and microseconds for a message. */
static void print_result(const struct load *l, const struct mark *from,
                         const struct mark *to, uint64_t bytes)
{
    const struct tls_options *o = &l->options;
    uint64_t messages = to->messages - from->messages;
    double seconds = (double)(to->time - from->time) / 1e9;
    double cpu = to->server_cpu - from->server_cpu;

    printf("{\"mode\":\"%s\",\"connections\":%u,\"size\":%zu,"
           "\"seconds\":%.6f,\"messages\":%llu,\"bytes\":%llu,"
           "\"rate\":%.1f,",
           tls_modes[o->mode], o->connections, o->size, seconds,
           (unsigned long long)messages, (unsigned long long)bytes,
           (double)messages / seconds);
    if (o->pids.count > 0 && messages > 0)
        printf("\"cpu_us\":%.4f,", cpu * 1e6 / (double)messages);
    if (o->pids.count > 0)
        printf("\"cpu_s_gb\":%.5f,\"server_busy\":%.3f,",
               cpu * 1e9 / (double)(bytes ? bytes : 1), cpu / seconds);
    printf("\"load_busy\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"max_us\":%.1f}\n",
           (to->own_cpu - from->own_cpu) / seconds,
           (double)histogram_at(&l->latency, 0.50) / 1e3,
           (double)histogram_at(&l->latency, 0.99) / 1e3,
           (double)l->latency.max / 1e3);
}

/* A download is counted by its bytes, as few end within the measured time. */
static bool quiet_since(const struct load *l, uint64_t messages, uint64_t bytes)
{
    return l->options.mode == TLS_BULK ? l->bytes == bytes
                                       : l->messages == messages;
}

static void measure(struct load *l)
{
    struct mark from, to;
    uint64_t bytes;

    open_all(l);
    while (quiet_since(l, 0, 0) || l->unticketed > 0) {
        turn(l, TICK_MS);
        if (l->unticketed > 0 && l->messages > l->options.connections * TRIES)
            die("the server gives no tickets");
    }
    turn_until(l, now_ns() + (uint64_t)(l->options.warmup * 1e9));
    histogram_reset(&l->latency);
    bytes = l->bytes;
    from = take_mark(l->messages, &l->options.pids);
    turn_until(l, from.time + (uint64_t)(l->options.seconds * 1e9));
    while (quiet_since(l, from.messages, bytes))
        turn(l, TICK_MS); /* a starved server, or silence, which ends us */
    to = take_mark(l->messages, &l->options.pids);
    print_result(l, &from, &to, l->bytes - bytes);
    l->stopping = true;
    while (l->busy > 0 && l->options.mode != TLS_BULK)
        turn(l, TICK_MS);
}

/* Hold quiet connections until standard input ends. */
static void hold(struct load *l)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = l->epoll, .events = POLLIN}};
    char line[64];

    open_all(l);
    while (l->busy > 0)
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

int main(int argc, char **argv)
{
    struct rlimit limit;
    unsigned i;

    tls_parse(&load.options, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    bulk_fill(load.table);
    load.serial = clock_ns(CLOCK_REALTIME);
    load.ctx = new_context(&load.options);
    if (load.options.resume)
        keep_sessions(load.ctx);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.conns = calloc(load.options.connections, sizeof(*load.conns));
    if (load.epoll < 0 || !load.conns)
        die("out of memory");
    for (i = 0; i < load.options.connections; i++)
        load.conns[i].fd = -1;
    load.unticketed = load.options.resume ? load.options.connections : 0;
    if (load.options.mode == TLS_IDLE)
        hold(&load);
    else
        measure(&load);
    return 0;
}
