/* rtmp_viewer.h -- a viewer, and what it holds its server to.
 *
 * All read the chunks they are sent up to one frame, their mark.  From there
 * on some go on, and see that each message has the number, the size and the
 * time that it was published with; the others have the kernel drop what it
 * counted, and must come to as many bytes.
 */
#ifndef BENCH_RTMP_VIEWER_H
#define BENCH_RTMP_VIEWER_H

#include "histogram.h"
#include "rtmp_publisher.h"

enum {
    VIEWER_NO_MARK = UINT32_MAX,
    VIEWER_SLACK = 128 /* bytes: a ping or so, and less than any message */
};

struct viewer {
    struct peer peer; /* first, as callbacks are given it */
    const struct publisher *of;
    struct histogram *delay; /* from publishing to arrival */
    bool checked;
    bool seen[MEDIA_TRACKS];
    uint32_t next[MEDIA_TRACKS];   /* number that is due */
    uint32_t offset[MEDIA_TRACKS]; /* of its time to the publisher's */
    uint32_t mark;                 /* number of a frame */
    bool marked;                   /* it has been sent that */
    uint64_t before;               /* bytes up to its end */
};

static inline void viewer_started(struct peer *peer)
{
    (void)peer;
}

static inline bool viewer_plays(const struct viewer *v)
{
    return v->seen[MEDIA_VIDEO] && v->seen[MEDIA_AUDIO];
}

static inline void viewer_media(struct peer *peer, const struct rtmp_message *m)
{
    struct viewer *v = (struct viewer *)peer;
    enum media_track track = m->kind == RTMP_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO;
    double published, now = publisher_clock();
    uint32_t serial;

    if (media_is_header(m))
        return;
    if (!media_read(m, track, &serial, &published))
        die("%s: %u bytes of kind %u", peer->name, m->size, m->kind);
    if (!v->seen[track]) {
        v->seen[track] = true;
        v->next[track] = serial;
        v->offset[track] = m->time - media_time(track, serial);
    }
    if (serial != v->next[track] ||
        m->size != media_size(track, v->of->rate, serial))
        die("%s: kind %u, number %u of %u bytes expected, got %u of %u",
            peer->name, m->kind, v->next[track],
            media_size(track, v->of->rate, v->next[track]), serial, m->size);
    if (m->time != media_time(track, serial) + v->offset[track])
        die("%s: kind %u, number %u at %u ms, not %u", peer->name, m->kind,
            serial, m->time, media_time(track, serial) + v->offset[track]);
    v->next[track]++;
    if (now > published)
        histogram_add(v->delay, (uint64_t)((now - published) * 1e9));
}

/* The next frame to be published is its mark. */
static inline void viewer_mark(struct viewer *v)
{
    v->mark = v->of->serial[MEDIA_VIDEO];
}

/* How much to read of what has come, so that a mark ends a read. */
static inline size_t viewer_wants(const struct viewer *v, size_t most)
{
    const struct rtmp_reader *r = &v->peer.reader;

    if (v->mark == VIEWER_NO_MARK || v->marked)
        return most;
    return r->piece > 0 ? r->piece : 1;
}

/* Take N bytes, of which DATA has no more than were not dropped. */
static inline void viewer_take(struct viewer *v, const uint8_t *data, size_t n)
{
    if (v->marked && !v->checked) {
        v->peer.bytes += n;
        peer_acknowledge(&v->peer);
        return;
    }
    peer_take(&v->peer, data, n);
    if (!v->marked && v->mark != VIEWER_NO_MARK &&
        v->next[MEDIA_VIDEO] == v->mark + 1) {
        v->marked = true;
        v->before = v->peer.bytes;
    }
}

/* Has it been sent all that REFERENCE, a checked viewer of the same stream,
 * has?  Ends the program if it has been sent more. */
static inline bool viewer_arrived(const struct viewer *v,
                                  const struct viewer *reference)
{
    uint64_t bytes = v->peer.bytes - v->before;
    uint64_t all = reference->peer.bytes - reference->before;

    if (v->checked)
        return v->next[MEDIA_VIDEO] == v->of->serial[MEDIA_VIDEO] &&
               v->next[MEDIA_AUDIO] == v->of->serial[MEDIA_AUDIO];
    if (bytes > all + VIEWER_SLACK)
        die("%s: a viewer was sent %llu bytes, another %llu", v->peer.name,
            (unsigned long long)bytes, (unsigned long long)all);
    return bytes + VIEWER_SLACK >= all;
}

#endif
