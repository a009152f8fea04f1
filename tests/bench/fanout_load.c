/* fanout_load.c -- follows a channel many times over, and counts what arrives.
 *
 * One thread, one epoll.  Some followers read every byte and check that no
 * blob is missing, changed in size or out of order; the others have the kernel
 * drop what it counted, so that a core can receive more than one can send.  At
 * the end every follower must have been sent every blob.
 */
#define _GNU_SOURCE
#include "fanout_blob.h"
#include "fanout_options.h"
#include "histogram.h"
#include "load_clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 64,
    INPUT = 1 << 22,
    RECEIVE_BUFFER = 1 << 22,
    CHECK_EVERY = 16, /* of the followers, one reads what it is sent */
    LINE = 128,
    TICK_MS = 200
};

struct follower {
    int fd;
    bool checked;
    uint64_t bytes;
    uint32_t next;    /* sequence of the blob that is due */
    size_t head_fill; /* bytes of its header so far */
    uint32_t body;    /* bytes left of the blob's body */
    unsigned char head[BLOB_HEADER];
};

struct load {
    struct fanout_options options;
    int epoll;
    int control;
    uint64_t bytes; /* over all followers */
    uint64_t heard; /* when the last bytes came */
    uint64_t published;
    bool stopped; /* the publisher has said how much there was */
    struct follower *followers;
    struct histogram delay; /* from publishing to arrival, checked blobs */
    unsigned char *input;
};

static int open_connection(const struct load *l)
{
    struct timeval wait = {.tv_sec = (time_t)l->options.timeout + 1};
    int size = RECEIVE_BUFFER, on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        die("setsockopt: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&l->options.address,
                sizeof(l->options.address)) < 0)
        die("connect: %s", strerror(errno));
    return fd;
}

static void say(int fd, const char *line)
{
    size_t n = strlen(line);

    if (send(fd, line, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("send: %s", strerror(errno));
}

/* Say LINE and await "ok\n"; what follows it stays unread. */
static void order(int fd, const char *line)
{
    char answer[3];

    say(fd, line);
    if (recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer) ||
        memcmp(answer, "ok\n", sizeof(answer)) != 0)
        die("no ok to: %s", line);
}

static void watch(const struct load *l, int fd, struct follower *f)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = f};

    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void follow(struct load *l)
{
    char line[LINE];
    unsigned i;

    snprintf(line, sizeof(line), "follow merge%u %u\n", l->options.merge,
             l->options.merge);
    for (i = 0; i < l->options.followers; i++) {
        struct follower *f = &l->followers[i];

        f->fd = open_connection(l);
        f->checked = i % CHECK_EVERY == 0;
        order(f->fd, line);
        watch(l, f->fd, f);
    }
}

static void check_header(struct load *l, struct follower *f, double now)
{
    uint32_t size, sequence;
    double published;

    blob_read(f->head, &size, &sequence, &published);
    if (size != l->options.size || sequence != f->next)
        die("blob %u of %zu bytes expected, got blob %u of %u bytes", f->next,
            l->options.size, sequence, size);
    f->next++;
    f->body = size - BLOB_HEADER;
    f->head_fill = 0;
    if (now > published)
        histogram_add(&l->delay, (uint64_t)((now - published) * 1e9));
}

static void check(struct load *l, struct follower *f, size_t n)
{
    const unsigned char *p = l->input;
    double now = blob_now();
    size_t k;

    while (n > 0) {
        if (f->body > 0) {
            k = f->body < n ? f->body : n;
            f->body -= (uint32_t)k;
        } else {
            k = BLOB_HEADER - f->head_fill;
            k = k < n ? k : n;
            memcpy(f->head + f->head_fill, p, k);
            f->head_fill += k;
            if (f->head_fill == BLOB_HEADER)
                check_header(l, f, now);
        }
        p += k;
        n -= k;
    }
}

static void follower_readable(struct load *l, struct follower *f)
{
    ssize_t n = recv(f->fd, l->input, INPUT,
                     MSG_DONTWAIT | (f->checked ? 0 : MSG_TRUNC));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("a follower was lost after %llu bytes: %s",
            (unsigned long long)f->bytes, n < 0 ? strerror(errno) : "closed");
    f->bytes += (uint64_t)n;
    l->bytes += (uint64_t)n;
    if (f->checked)
        check(l, f, (size_t)n);
}

static void control_readable(struct load *l)
{
    char line[LINE];
    unsigned long long blobs;
    ssize_t n = recv(l->control, line, sizeof(line) - 1, MSG_DONTWAIT);

    if (n <= 0)
        die("the publisher was lost: %s", n < 0 ? strerror(errno) : "closed");
    line[n] = '\0';
    if (sscanf(line, "stopped %llu", &blobs) != 1)
        die("the publisher said: %s", line);
    l->published = blobs;
    l->stopped = true;
}

static void turn(struct load *l, int wait)
{
    struct epoll_event events[EVENTS];
    int i, n = epoll_wait(l->epoll, events, EVENTS, wait);

    if (n < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (i = 0; i < n; i++) {
        if (events[i].data.ptr)
            follower_readable(l, events[i].data.ptr);
        else
            control_readable(l);
    }
    if (n > 0)
        l->heard = now_ns();
    else if (now_ns() - l->heard > (uint64_t)(l->options.timeout * 1e9))
        die("nothing arrived for %g s", l->options.timeout);
}

static void turn_until(struct load *l, uint64_t end)
{
    uint64_t now, left;

    for (now = now_ns(); now < end; now = now_ns()) {
        left = (end - now) / 1000000U + 1;
        turn(l, left < TICK_MS ? (int)left : TICK_MS);
    }
}

/* Stop the publisher, and see that every follower gets every blob. */
static void finish(struct load *l)
{
    uint64_t each;
    unsigned i;

    say(l->control, "stop\n");
    while (!l->stopped)
        turn(l, TICK_MS);
    each = l->published * l->options.size;
    while (l->bytes < each * l->options.followers)
        turn(l, TICK_MS);
    for (i = 0; i < l->options.followers; i++)
        if (l->followers[i].bytes != each)
            die("a follower got %llu bytes of %llu",
                (unsigned long long)l->followers[i].bytes,
                (unsigned long long)each);
}

static void print_result(const struct load *l, const struct mark *from,
                         const struct mark *to)
{
    const struct fanout_options *o = &l->options;
    double bytes = (double)(to->messages - from->messages);
    double seconds = (double)(to->time - from->time) / 1e9;
    double cpu = to->server_cpu - from->server_cpu;

    printf("{\"followers\":%u,\"merge_ms\":%u,\"size\":%zu,\"asked\":%g,"
           "\"seconds\":%.6f,\"bytes\":%.0f,\"rate\":%.2f,",
           o->followers, o->merge, o->size, o->rate, seconds, bytes,
           bytes / (double)o->size / o->followers / seconds);
    if (o->pids.count > 0)
        printf("\"cpu_s_gb\":%.5f,\"server_busy\":%.3f,", cpu * 1e9 / bytes,
               cpu / seconds);
    printf("\"load_busy\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
           (to->own_cpu - from->own_cpu) / seconds,
           (double)histogram_at(&l->delay, 0.50) / 1e3,
           (double)histogram_at(&l->delay, 0.99) / 1e3);
}

static void measure(struct load *l)
{
    const struct fanout_options *o = &l->options;
    struct mark from, to;
    char line[LINE];

    snprintf(line, sizeof(line), "publish merge%u %g %zu %u\n", o->merge,
             o->rate, o->size, o->merge);
    order(l->control, line);
    watch(l, l->control, NULL);
    l->heard = now_ns();
    while (l->bytes == 0)
        turn(l, TICK_MS);
    turn_until(l, now_ns() + (uint64_t)(o->warmup * 1e9));
    histogram_reset(&l->delay);
    from = take_mark(l->bytes, &o->pids);
    turn_until(l, from.time + (uint64_t)(o->seconds * 1e9));
    while (l->bytes == from.messages)
        turn(l, TICK_MS);
    to = take_mark(l->bytes, &o->pids);
    finish(l);
    print_result(l, &from, &to);
}

int main(int argc, char **argv)
{
    static struct load l;
    struct rlimit limit;

    fanout_parse(&l.options, argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.followers = calloc(l.options.followers, sizeof(*l.followers));
    l.input = malloc(INPUT);
    if (l.epoll < 0 || !l.followers || !l.input)
        die("cannot start: %s", strerror(errno));
    follow(&l);
    l.control = open_connection(&l);
    measure(&l);
    return 0;
}
