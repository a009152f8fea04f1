/* support_dial.c -- see support_dial.h. */
#include "support_dial.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct dial_rig dial_rig;

static const struct ld_log silent = {.level = LD_SILENT};

int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

int dial_set_up(void **state)
{
    (void)state;
    dial_rig.descriptors = count_descriptors();
    dial_rig.loop = ev_loop_new(EVFLAG_AUTO);
    dial_rig.dialer = ld_dialer_new(dial_rig.loop, &silent);
    assert_non_null(dial_rig.dialer);
    return 0;
}

int dial_tear_down(void **state)
{
    (void)state;
    ld_dialer_free(dial_rig.dialer);
    ev_run(dial_rig.loop, EVRUN_NOWAIT); /* nothing is left to be called */
    ev_loop_destroy(dial_rig.loop);
    assert_int_equal(count_descriptors(), dial_rig.descriptors);
    return 0;
}

static void on_done(void *ctx, enum ld_status st, int fd, const char *message)
{
    struct outcome *o = ctx;

    o->calls++;
    o->st = st;
    o->fd = fd;
    snprintf(o->message, sizeof(o->message), "%s", message);
    ev_break(dial_rig.loop, EVBREAK_ALL);
}

struct ld_dial *dial_begin(struct outcome *o, const struct ld_dial_target *to)
{
    struct ld_dial *d;

    memset(o, 0, sizeof(*o));
    d = ld_dial_start(dial_rig.dialer, to, on_done, o);
    assert_non_null(d);
    assert_int_equal(o->calls, 0);
    return d;
}

static void on_time(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)t;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

void dial_pass(double seconds)
{
    ev_timer t;

    ev_now_update(dial_rig.loop);
    ev_timer_init(&t, on_time, seconds, 0);
    ev_timer_start(dial_rig.loop, &t);
    ev_run(dial_rig.loop, 0);
    ev_timer_stop(dial_rig.loop, &t);
}

void dial_await(struct outcome *o)
{
    dial_pass(10);
    assert_int_equal(o->calls, 1);
}

void dial_run(struct outcome *o, const struct ld_dial_target *to)
{
    dial_begin(o, to);
    dial_await(o);
}

static const char *text_of(const struct sockaddr_storage *sa, uint16_t *port)
{
    static char text[INET6_ADDRSTRLEN];

    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

        *port = ntohs(v6->sin6_port);
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

        *port = ntohs(v4->sin_port);
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    }
    return text;
}

void assert_reached(struct outcome *o, const char *host, uint16_t port)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    uint16_t reached;

    assert_string_equal(o->message, "");
    assert_int_equal(o->st, LD_OK);
    assert_int_equal(getpeername(o->fd, (struct sockaddr *)&sa, &len), 0);
    assert_string_equal(text_of(&sa, &reached), host);
    assert_int_equal(reached, port);
    close(o->fd);
}

void assert_failed(const struct outcome *o, enum ld_status st, const char *text)
{
    assert_string_equal(ld_strstatus(o->st), ld_strstatus(st));
    assert_int_equal(o->fd, -1);
    if (!strstr(o->message, text))
        fail_msg("'%s' does not hold '%s'", o->message, text);
}

static socklen_t read_address(struct sockaddr_storage *sa, const char *host,
                              uint16_t port)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa;

    memset(sa, 0, sizeof(*sa));
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof(*v6);
    }
    assert_int_equal(inet_pton(AF_INET, host, &v4->sin_addr), 1);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return sizeof(*v4);
}

int listen_at(const char *host, uint16_t *port, int backlog)
{
    static const int on = 1;
    struct sockaddr_storage sa;
    socklen_t len = read_address(&sa, host, *port);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&sa, len) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    text_of(&sa, port);
    return fd;
}

int black_hole(const char *host, uint16_t *port, int witnesses[WITNESSES])
{
    int fd = listen_at(host, port, 0);
    struct sockaddr_storage sa;

    for (int i = 0; i < WITNESSES; i++) {
        socklen_t len = read_address(&sa, host, *port);

        witnesses[i] = -1;
        if (fd < 0)
            continue;
        witnesses[i] = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(witnesses[i], (struct sockaddr *)&sa, len);
    }
    return fd;
}

/* An answer for later. */
struct dns_pending {
    ev_timer timer;
    struct dns *dns;
    struct dns_pending *next;
    struct sockaddr_in to;
    uint8_t bytes[1024];
    size_t size;
};

static size_t put(uint8_t *p, size_t at, const void *bytes, size_t n)
{
    memcpy(p + at, bytes, n);
    return at + n;
}

/* The answer A to the question of SIZE bytes at P, which it follows. */
static size_t answer(uint8_t *p, size_t size, int type,
                     const struct dns_answer *a)
{
    static const uint8_t head_a[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4};
    static const uint8_t head_aaaa[] = {0xc0, 12, 0, 28, 0, 1,
                                        0,    0,  0, 60, 0, 16};
    uint8_t count = 0, bytes[16];

    p[2] = 0x84 | (p[2] & 1);
    p[3] = (uint8_t)(0x80 | a->rcode);
    memset(p + 8, 0, 4); /* no other sections */
    for (; a->addresses && a->addresses[count]; count++) {
        size = type == DNS_A ? put(p, size, head_a, sizeof(head_a))
                             : put(p, size, head_aaaa, sizeof(head_aaaa));
        inet_pton(type == DNS_A ? AF_INET : AF_INET6, a->addresses[count],
                  bytes);
        size = put(p, size, bytes, type == DNS_A ? 4 : 16);
    }
    p[7] = count;
    return size;
}

static void send_answer(struct dns_pending *p)
{
    sendto(p->dns->io.fd, p->bytes, p->size, 0, (struct sockaddr *)&p->to,
           sizeof(p->to));
}

static void on_delayed(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    send_answer(t->data);
}

/* The bytes of the one question at P, all sections after it left out. */
static size_t question_size(const uint8_t *p)
{
    size_t at = 12;

    while (p[at])
        at += p[at] + 1U;
    return at + 5;
}

/* Take one question; false when there is none. */
static bool take_question(struct ev_loop *loop, struct dns *d)
{
    struct dns_pending *p = calloc(1, sizeof(*p));
    const struct dns_answer *a;
    socklen_t len = sizeof(p->to);
    int type;

    if (recvfrom(d->io.fd, p->bytes, sizeof(p->bytes), MSG_DONTWAIT,
                 (struct sockaddr *)&p->to, &len) < 0) {
        free(p);
        return false;
    }
    p->size = question_size(p->bytes);
    type = p->bytes[p->size - 3] == 1 ? DNS_A : DNS_AAAA;
    a = &d->answers[type];
    d->asked[type]++;
    p->dns = d;
    p->next = d->pending;
    d->pending = p;
    p->size = answer(p->bytes, p->size, type, a);
    if (a->garbage)
        memset(p->bytes + 2, 0xff, p->size - 2);
    ev_timer_init(&p->timer, on_delayed, a->delay, 0);
    p->timer.data = p;
    if (a->delay > 0)
        ev_timer_start(loop, &p->timer);
    else if (!a->silent)
        send_answer(p);
    return true;
}

/* All at once, so that no time passes between their answers. */
static void on_question(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    while (take_question(loop, io->data))
        ;
}

void dns_open(struct dns *d)
{
    struct sockaddr_storage sa;
    socklen_t len = read_address(&sa, "127.0.0.1", 0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    char servers[32];

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    text_of(&sa, &d->port);
    ev_io_init(&d->io, on_question, fd, EV_READ);
    d->io.data = d;
    ev_io_start(dial_rig.loop, &d->io);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", d->port);
    assert_int_equal(ld_dialer_servers(dial_rig.dialer, servers), LD_OK);
}

void dns_close(struct dns *d)
{
    while (d->pending) {
        struct dns_pending *p = d->pending;

        d->pending = p->next;
        ev_timer_stop(dial_rig.loop, &p->timer);
        free(p);
    }
    ev_io_stop(dial_rig.loop, &d->io);
    close(d->io.fd);
}
