/* rtmp_load.c -- publishes streams in real time and plays them many times over.
 *
 * One thread, one epoll.  Every viewer reads every chunk, and each message of
 * media has to follow its predecessor: with the next number, of the size it
 * was published with, and as much later as it was published.  At the end each
 * viewer must have been sent all, and each publisher's last command answered.
 */
#define _GNU_SOURCE
#include "histogram.h"
#include "rtmp_media.h"
#include "rtmp_options.h"
#include "rtmp_peer.h"

#include <sys/resource.h>

enum { EVENTS = 64, INPUT = 1 << 18, TICK_MS = 200 };

struct load;

struct publisher {
    struct peer peer;
    struct load *load;
    uint32_t number;
    double start; /* seconds of the monotonic clock; 0 before it may */
    uint32_t serial[MEDIA_TRACKS];
    uint32_t last[MEDIA_TRACKS]; /* time of the track's last message */
};

struct viewer {
    struct peer peer;
    struct load *load;
    struct publisher *of;
    bool seen[MEDIA_TRACKS];
    uint32_t next[MEDIA_TRACKS];
    uint32_t offset[MEDIA_TRACKS]; /* of its time to the publisher's */
};

struct load {
    struct rtmp_options options;
    int epoll;
    bool stopped;
    unsigned live;      /* publishers that may publish */
    unsigned playing;   /* viewers that have seen both tracks */
    uint64_t bytes;     /* to all viewers */
    uint64_t published; /* messages */
    uint64_t heard;     /* when the last bytes came */
    struct publisher *publishers;
    struct viewer *viewers;
    struct histogram delay; /* from publishing to arrival */
    uint8_t *input, *body;
};

static double seconds_now(void)
{
    return (double)now_ns() / 1e9;
}

static void put_media(struct publisher *p, enum media_track track,
                      const uint8_t *body, uint32_t size, uint32_t time,
                      bool first)
{
    struct rtmp_message m = {.kind = media_kind[track],
                             .time = first ? time : time - p->last[track],
                             .id = p->peer.id,
                             .size = size,
                             .body = body};

    rtmp_put_message(&p->peer.out, p->peer.chunk, !first,
                     track == MEDIA_VIDEO ? 6 : 4, &m);
    p->last[track] = time;
}

/* What comes before the first frame.  Publishers begin one after the other
 * over the length of a GOP, so that their key frames do not coincide. */
static void publisher_started(struct peer *peer)
{
    struct publisher *p = (struct publisher *)peer;
    struct load *l = p->load;
    struct rtmp_out about = {0};
    struct rtmp_message m = {.kind = RTMP_DATA, .id = peer->id};

    media_describe(&about, l->options.rate);
    m.size = (uint32_t)about.size;
    m.body = about.data;
    rtmp_put_message(&peer->out, peer->chunk, 0, 5, &m);
    free(about.data);
    put_media(p, MEDIA_VIDEO, media_avc, sizeof(media_avc), 0, true);
    put_media(p, MEDIA_AUDIO, media_aac, sizeof(media_aac), 0, true);
    p->start = seconds_now() + (double)MEDIA_GOP / MEDIA_FPS * p->number /
                                   l->options.publishers;
    l->live++;
}

static void publisher_media(struct peer *peer, const struct rtmp_message *m)
{
    die("%s: a publisher was sent %u bytes of media", peer->name, m->size);
}

static void publish_one(struct publisher *p, enum media_track track)
{
    struct load *l = p->load;
    uint32_t serial = p->serial[track]++;
    uint32_t size = media_size(track, l->options.rate, serial);

    media_build(l->body, size, track, p->number, serial, seconds_now());
    put_media(p, track, l->body, size, media_time(track, serial), false);
    l->published++;
}

/* Publish what is due; returns when more is. */
static double publish(struct publisher *p, double now)
{
    double video, audio;

    for (;;) {
        video = p->start + p->serial[MEDIA_VIDEO] * media_period(MEDIA_VIDEO);
        audio = p->start + p->serial[MEDIA_AUDIO] * media_period(MEDIA_AUDIO);
        if (video > now && audio > now)
            break;
        publish_one(p, video <= audio ? MEDIA_VIDEO : MEDIA_AUDIO);
    }
    if (p->peer.out.size > 0)
        peer_flush(&p->peer);
    return video < audio ? video : audio;
}

/* Returns when the next message is due, or what is given as the latest. */
static double publish_all(struct load *l, double latest)
{
    double next, now = seconds_now();
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

static void viewer_started(struct peer *peer)
{
    (void)peer;
}

static void begin_track(struct viewer *v, enum media_track track,
                        uint32_t serial, uint32_t time)
{
    v->seen[track] = true;
    v->next[track] = serial;
    v->offset[track] = time - media_time(track, serial);
    if (v->seen[!track])
        v->load->playing++;
}

static void viewer_media(struct peer *peer, const struct rtmp_message *m)
{
    struct viewer *v = (struct viewer *)peer;
    struct load *l = v->load;
    enum media_track track = m->kind == RTMP_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO;
    double published, now = seconds_now();
    uint32_t serial;

    if (media_is_header(m))
        return;
    if (!media_read(m, track, &serial, &published))
        die("%s: %u bytes of kind %u", peer->name, m->size, m->kind);
    if (!v->seen[track])
        begin_track(v, track, serial, m->time);
    if (serial != v->next[track] ||
        m->size != media_size(track, l->options.rate, serial))
        die("%s: kind %u, number %u of %u bytes expected, got %u of %u",
            peer->name, m->kind, v->next[track],
            media_size(track, l->options.rate, v->next[track]), serial,
            m->size);
    if (m->time != media_time(track, serial) + v->offset[track])
        die("%s: kind %u, number %u at %u ms, not %u", peer->name, m->kind,
            serial, m->time, media_time(track, serial) + v->offset[track]);
    v->next[track]++;
    if (now > published)
        histogram_add(&l->delay, (uint64_t)((now - published) * 1e9));
}

static void readable(struct load *l, struct peer *p)
{
    ssize_t n = recv(p->fd, l->input, INPUT, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("%s: lost after %llu bytes: %s", p->name,
            (unsigned long long)p->bytes, n < 0 ? strerror(errno) : "closed");
    if (!p->publishes)
        l->bytes += (uint64_t)n;
    peer_take(p, l->input, (size_t)n);
}

/* Publish, wait until UNTIL at most for what comes, and take it. */
static void turn(struct load *l, double until)
{
    struct epoll_event events[EVENTS];
    double left = publish_all(l, until) - seconds_now();
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
    double heard = seconds_now();

    while (seconds_now() < end) {
        turn(l, end);
        if (l->bytes > bytes || l->options.viewers == 0) {
            bytes = l->bytes;
            heard = seconds_now();
        } else if (seconds_now() - heard > l->options.timeout) {
            die("nothing arrived for %g s", l->options.timeout);
        }
    }
}

static bool all_may_publish(const struct load *l)
{
    return l->live == l->options.publishers;
}

static bool all_play(const struct load *l)
{
    return l->playing == l->options.viewers;
}

static bool all_publish(const struct load *l)
{
    return l->publishers[l->options.publishers - 1].serial[MEDIA_AUDIO] > 0;
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
    unsigned i, track;

    for (i = 0; i < l->options.viewers; i++)
        for (track = 0; track < MEDIA_TRACKS; track++)
            if (l->viewers[i].next[track] != l->viewers[i].of->serial[track])
                return false;
    return true;
}

static void wait_until(struct load *l, bool (*done)(const struct load *l),
                       const char *what)
{
    double end = seconds_now() + l->options.timeout;

    while (!done(l)) {
        if (seconds_now() > end)
            die("%s within %g s", what, l->options.timeout);
        turn(l, end);
    }
}

static void open_publishers(struct load *l)
{
    unsigned i;

    for (i = 0; i < l->options.publishers; i++) {
        struct publisher *p = &l->publishers[i];

        p->load = l;
        p->number = i;
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
    unsigned i;

    for (i = 0; i < l->options.viewers; i++) {
        struct viewer *v = &l->viewers[i];

        v->load = l;
        v->of = &l->publishers[i % l->options.publishers];
        v->peer = (struct peer){.epoll = l->epoll,
                                .chunk = l->options.chunk,
                                .started = viewer_started,
                                .media = viewer_media};
        memcpy(v->peer.name, v->of->peer.name, PEER_NAME);
        peer_open(&v->peer, &l->options.address, MEDIA_KEEP);
    }
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
                         const struct mark *to, uint64_t published)
{
    const struct rtmp_options *o = &l->options;
    double bytes = (double)(to->messages - from->messages);
    double seconds = (double)(to->time - from->time) / 1e9;
    double cpu = to->server_cpu - from->server_cpu;

    printf("{\"viewers\":%u,\"publishers\":%u,\"seconds\":%.6f,"
           "\"bytes\":%.0f,\"rate\":%.2f,\"load_busy\":%.3f",
           o->viewers, o->publishers, seconds, bytes,
           (double)published / seconds, (to->own_cpu - from->own_cpu) / seconds);
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
    const double gop = (double)MEDIA_GOP / MEDIA_FPS;
    double at = l->publishers[l->options.publishers - 1].start +
                l->options.warmup;

    while (at < seconds_now())
        at += gop;
    return at;
}

static void measure(struct load *l)
{
    const struct rtmp_options *o = &l->options;
    struct mark from, to;
    uint64_t published;

    open_publishers(l);
    wait_until(l, all_may_publish, "not all may publish");
    open_viewers(l);
    wait_until(l, all_play, "not all viewers saw both tracks");
    wait_until(l, all_publish, "not all publish");
    turn_until(l, beginning(l));
    histogram_reset(&l->delay);
    from = take_mark(l->bytes, &o->pids);
    published = l->published;
    turn_until(l, (double)from.time / 1e9 + o->seconds);
    to = take_mark(l->bytes, &o->pids);
    published = l->published - published;
    finish(l);
    print_result(l, &from, &to, published);
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
    l.viewers =
        rtmp_memory(calloc(l.options.viewers + 1, sizeof(*l.viewers)));
    l.input = rtmp_memory(malloc(INPUT));
    l.body = rtmp_memory(malloc(media_size(MEDIA_VIDEO, l.options.rate, 0) +
                                MEDIA_AUDIO_MIN + MEDIA_AUDIO_SPREAD));
    measure(&l);
    return 0;
}
