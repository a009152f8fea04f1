/* rtmp_publisher.h -- a publisher of the synthetic stream, in real time. */
#ifndef BENCH_RTMP_PUBLISHER_H
#define BENCH_RTMP_PUBLISHER_H

#include "rtmp_media.h"
#include "rtmp_peer.h"

struct publisher {
    struct peer peer;       /* first, as callbacks are given it */
    uint32_t number, count; /* which of how many it is */
    double rate;            /* bits a second */
    double start; /* seconds of the monotonic clock; 0 before it may */
    uint32_t serial[MEDIA_TRACKS]; /* messages so far */
    uint32_t last[MEDIA_TRACKS];   /* time of the track's last one */
    uint8_t *body;                 /* room for the largest */
};

static inline double publisher_clock(void)
{
    return (double)now_ns() / 1e9;
}

static inline void publisher_put(struct publisher *p, enum media_track track,
                                 const uint8_t *body, uint32_t size,
                                 uint32_t time, bool first)
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
static inline void publisher_started(struct peer *peer)
{
    struct publisher *p = (struct publisher *)peer;
    struct rtmp_out about = {0};
    struct rtmp_message m = {.kind = RTMP_DATA, .id = peer->id};

    media_describe(&about, p->rate);
    m.size = (uint32_t)about.size;
    m.body = about.data;
    rtmp_put_message(&peer->out, peer->chunk, 0, 5, &m);
    free(about.data);
    publisher_put(p, MEDIA_VIDEO, media_avc, sizeof(media_avc), 0, true);
    publisher_put(p, MEDIA_AUDIO, media_aac, sizeof(media_aac), 0, true);
    p->start = publisher_clock() + media_gop() * p->number / p->count;
}

static inline void publisher_media(struct peer *peer,
                                   const struct rtmp_message *m)
{
    die("%s: a publisher was sent %u bytes of media", peer->name, m->size);
}

static inline void publish_one(struct publisher *p, enum media_track track)
{
    uint32_t serial = p->serial[track]++;
    uint32_t size = media_size(track, p->rate, serial);

    media_build(p->body, size, track, p->number, serial, publisher_clock());
    publisher_put(p, track, p->body, size, media_time(track, serial), false);
}

/* Publish what is due at NOW; returns when more is. */
static inline double publish(struct publisher *p, double now)
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

#endif
