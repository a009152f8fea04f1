/* rtmp_load.c -- publishes streams in real time and plays them many times over.
 *
 * One thread, one epoll.  At the end each viewer must have been sent all that
 * was published since it began, and each publisher's last command answered, so
 * that a server has read everything.
 */
#define _GNU_SOURCE
#include "rtmp_options.h"
#include "rtmp_viewer.h"

#include <sys/resource.h>

enum {
    EVENTS = 64,
    INPUT = 1 << 22,
    CHECK_EVERY = 16, /* of the viewers of a stream, one reads to the end */
    TICK_MS = 200
};

struct load {
    struct rtmp_options options;
    int epoll;
    bool stopped;
    uint64_t bytes; /* to all viewers */
    struct publisher *publishers;
    struct viewer *viewers;
    struct histogram delay; /* from publishing to arrival */
    uint8_t *input, *body;
};

static uint64_t published(const struct load *l)
{
    uint64_t sum = 0;
    unsigned i;

    for (i = 0; i < l->options.publishers; i++)
        sum += l->publishers[i].serial[MEDIA_VIDEO] +
               l->publishers[i].serial[MEDIA_AUDIO];
    return sum;
}

/* Returns when the next message is due, or what is given as the latest. */
static double publish_all(struct load *l, double latest)
{
    double next, now = publisher_clock();
    unsigned i;

    for (i = 0; i < l->options.publishers && !l->stopped; i++) {
        struct publisher *p = &l->publishers[i];

        if (p->start == 0)
            continue;
        next = publish(p, now);
        if (next < latest)
            latest = next;
    }
    return latest;
}

static void readable(struct load *l, struct peer *p)
{
    struct viewer *v = p->publishes ? NULL : (struct viewer *)p;
    bool drop = v && v->marked && !v->checked;
    ssize_t n = recv(p->fd, l->input, v ? viewer_wants(v, INPUT) : INPUT,
                     MSG_DONTWAIT | (drop ? MSG_TRUNC : 0));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("%s: lost after %llu bytes: %s", p->name,
            (unsigned long long)p->bytes, n < 0 ? strerror(errno) : "closed");
    if (!v) {
        peer_take(p, l->input, (size_t)n);
        return;
    }
    l->bytes += (uint64_t)n;
    viewer_take(v, l->input, (size_t)n);
}

/* Publish, wait until UNTIL at most for what comes, and take it. */
static void turn(struct load *l, double until)
{
    struct epoll_event events[EVENTS];
    double left = publish_all(l, until) - publisher_clock();
    int i, n, wait = left <= 0 ? 0 : (int)(left * 1e3) + 1;

    n = epoll_wait(l->epoll, events, EVENTS, wait < TICK_MS ? wait : TICK_MS);
    if (n < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (i = 0; i < n; i++) {
        struct peer *p = events[i].data.ptr;

        if (events[i].events & EPOLLOUT)
            peer_flush(p);
        if (events[i].events & ~(unsigned)EPOLLOUT)
            readable(l, p);
    }
}

static void turn_until(struct load *l, double end)
{
    uint64_t bytes = l->bytes;
    double now, heard = publisher_clock();

    while ((now = publisher_clock()) < end) {
        turn(l, end);
        if (l->bytes > bytes || l->options.viewers == 0) {
            bytes = l->bytes;
            heard = now;
        } else if (now - heard > l->options.timeout) {
            die("nothing arrived for %g s", l->options.timeout);
        }
    }
}

static bool all_may_publish(const struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.publishers; i++)
        if (l->publishers[i].start == 0)
            return false;
    return true;
}

static bool all_publish(const struct load *l)
{
    return l->publishers[l->options.publishers - 1].serial[MEDIA_AUDIO] > 0;
}

static bool all_play(const struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.viewers; i++)
        if (!viewer_plays(&l->viewers[i]))
            return false;
    return true;
}

static bool all_marked(const struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.viewers; i++)
        if (!l->viewers[i].marked)
            return false;
    return true;
}

static bool all_answered(const struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.publishers; i++)
        if (!l->publishers[i].peer.answered)
            return false;
    return true;
}

static bool all_arrived(const struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.viewers; i++)
        if (!viewer_arrived(&l->viewers[i],
                            &l->viewers[i % l->options.publishers]))
            return false;
    return true;
}

static void wait_until(struct load *l, bool (*done)(const struct load *l),
                       const char *what)
{
    double end = publisher_clock() + l->options.timeout;

    while (!done(l)) {
        if (publisher_clock() > end)
            die("%s within %g s", what, l->options.timeout);
        turn(l, end);
    }
}

static void open_publishers(struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.publishers; i++) {
        struct publisher *p = &l->publishers[i];

        p->number = i;
        p->count = l->options.publishers;
        p->rate = l->options.rate;
        p->body = l->body;
        p->peer = (struct peer){.epoll = l->epoll,
                                .publishes = true,
                                .chunk = l->options.chunk,
                                .started = publisher_started,
                                .media = publisher_media};
        snprintf(p->peer.name, PEER_NAME, "bench%d-%u", (int)getpid(), i);
        peer_open(&p->peer, &l->options.address, MEDIA_KEEP);
    }
}

static void open_viewers(struct load *l)
{
    unsigned i, streams = l->options.publishers;

    for (i = 0; i < l->options.viewers; i++) {
        struct viewer *v = &l->viewers[i];

        v->of = &l->publishers[i % streams];
        v->delay = &l->delay;
        v->checked = i / streams % CHECK_EVERY == 0;
        v->mark = VIEWER_NO_MARK;
        v->peer = (struct peer){.epoll = l->epoll,
                                .chunk = l->options.chunk,
                                .started = viewer_started,
                                .media = viewer_media};
        memcpy(v->peer.name, v->of->peer.name, PEER_NAME);
        peer_open(&v->peer, &l->options.address, MEDIA_KEEP);
    }
}

static void mark_viewers(struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.viewers; i++)
        viewer_mark(&l->viewers[i]);
}

/* Stop publishing, and see that all is read and arrives. */
static void finish(struct load *l)
{
    unsigned i;

    l->stopped = true;
    for (i = 0; i < l->options.publishers; i++) {
        peer_create(&l->publishers[i].peer, PEER_LAST);
        peer_flush(&l->publishers[i].peer);
    }
    wait_until(l, all_answered, "not all publishers were heard to the end");
    wait_until(l, all_arrived, "not all arrived");
}

static void print_result(const struct load *l, const struct mark *from,
                         const struct mark *to, uint64_t messages)
{
    const struct rtmp_options *o = &l->options;
    double bytes = (double)(to->messages - from->messages);
    double seconds = (double)(to->time - from->time) / 1e9;
    double cpu = to->server_cpu - from->server_cpu;

    printf("{\"viewers\":%u,\"publishers\":%u,\"seconds\":%.6f,"
           "\"bytes\":%.0f,\"rate\":%.2f,\"load_busy\":%.3f",
           o->viewers, o->publishers, seconds, bytes,
           (double)messages / seconds, (to->own_cpu - from->own_cpu) / seconds);
    if (o->pids.count > 0) {
        printf(",\"server_busy\":%.3f,\"cpu_ms_publisher\":%.5f", cpu / seconds,
               cpu * 1e3 / seconds / o->publishers);
        if (bytes > 0)
            printf(",\"cpu_s_gb\":%.5f", cpu * 1e9 / bytes);
    }
    if (l->delay.total > 0)
        printf(",\"p50_us\":%.1f,\"p99_us\":%.1f",
               (double)histogram_at(&l->delay, 0.50) / 1e3,
               (double)histogram_at(&l->delay, 0.99) / 1e3);
    puts("}");
}

/* The measured time begins at the same place in a GOP whatever the server, as
 * key frames cost less a byte, and it may let in no one but at those. */
static double beginning(const struct load *l)
{
    double at =
        l->publishers[l->options.publishers - 1].start + l->options.warmup;

    while (at < publisher_clock())
        at += media_gop();
    return at;
}

static void measure(struct load *l)
{
    const struct rtmp_options *o = &l->options;
    struct mark from, to;
    uint64_t messages;

    open_publishers(l);
    wait_until(l, all_may_publish, "not all may publish");
    open_viewers(l);
    wait_until(l, all_play, "not all viewers saw both tracks");
    mark_viewers(l);
    wait_until(l, all_publish, "not all publish");
    wait_until(l, all_marked, "not all viewers were sent the same frame");
    turn_until(l, beginning(l));
    histogram_reset(&l->delay);
    from = take_mark(l->bytes, &o->pids);
    messages = published(l);
    turn_until(l, (double)from.time / 1e9 + o->seconds);
    to = take_mark(l->bytes, &o->pids);
    messages = published(l) - messages;
    finish(l);
    print_result(l, &from, &to, messages);
}

int main(int argc, char **argv)
{
    static struct load l;
    struct rlimit limit;

    rtmp_parse(&l.options, argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    l.publishers =
        rtmp_memory(calloc(l.options.publishers, sizeof(*l.publishers)));
    l.viewers = rtmp_memory(calloc(l.options.viewers + 1, sizeof(*l.viewers)));
    l.input = rtmp_memory(malloc(INPUT));
    l.body = rtmp_memory(malloc(media_size(MEDIA_VIDEO, l.options.rate, 0) +
                                MEDIA_AUDIO_MIN + MEDIA_AUDIO_SPREAD));
    measure(&l);
    return 0;
}
