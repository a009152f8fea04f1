/* rtmp_media.h -- a synthetic stream: 720p at 30 frames a second with a key
 * frame every two seconds, and AAC of 44.1 kHz.
 *
 * Message SERIAL of either kind, counted from 0, has a size and a time that are
 * functions of SERIAL, and bytes that no other has.  Each carries its number
 * and when it was published behind the codec's own header:
 *
 *   video   17|27 01 0:u24 size:u32 nal:u8 serial:u32 published:f64 filler
 *   audio   AF 01 serial:u32 published:f64 filler
 */
#ifndef BENCH_RTMP_MEDIA_H
#define BENCH_RTMP_MEDIA_H

#include "payload.h"
#include "rtmp_write.h"

enum media_track { MEDIA_VIDEO, MEDIA_AUDIO, MEDIA_TRACKS };

enum {
    MEDIA_FPS = 30,
    MEDIA_GOP = 60,     /* frames */
    MEDIA_KEY_SIZE = 4, /* of a key frame, in mean other frames */
    MEDIA_RATE = 44100,
    MEDIA_SAMPLES = 1024, /* of an audio message */
    MEDIA_AUDIO_MIN = 340,
    MEDIA_AUDIO_SPREAD = 64, /* 371 bytes on average: 128 kbit/s */
    MEDIA_AUDIO_BITS = 128000,
    MEDIA_KEEP = 32 /* of a message, to read its number and time */
};

static const unsigned char media_avc[] = {
    0x17, 0,    0,    0,    0,                   /* a sequence header */
    1,    0x42, 0xc0, 0x1f, 0xff,                /* baseline, level 3.1 */
    0xe1, 0,    9,    0x67, 0x42, 0xc0, 0x1f,    /* 1280 x 720 */
    0xda, 1,    0x40, 0x16, 0xe4, 1,    0,    4, /* one of either */
    0x68, 0xce, 0x3c, 0x80};
static const unsigned char media_aac[] = {0xaf, 0, 0x12, 0x10};

static const unsigned media_kind[] = {RTMP_VIDEO, RTMP_AUDIO};

/* Where a message's number is. */
static const unsigned media_stamp[] = {10, 2};

/* Seconds from one message of a track to the next. */
static inline double media_period(enum media_track track)
{
    return track == MEDIA_VIDEO ? 1.0 / MEDIA_FPS
                                : (double)MEDIA_SAMPLES / MEDIA_RATE;
}

static inline double media_gop(void)
{
    return (double)MEDIA_GOP / MEDIA_FPS;
}

static inline uint32_t media_time(enum media_track track, uint32_t serial)
{
    return (uint32_t)(serial * media_period(track) * 1000);
}

static inline bool media_is_key(uint32_t serial)
{
    return serial % MEDIA_GOP == 0;
}

/* Bytes of a message in a stream of RATE bits a second.  All GOPs are alike, so
 * that it does not matter which are measured. */
static inline uint32_t media_size(enum media_track track, double rate,
                                  uint32_t serial)
{
    uint64_t chance = payload_mix(serial % MEDIA_GOP + 1) % 1024;
    double mean;

    if (track == MEDIA_AUDIO)
        return MEDIA_AUDIO_MIN + (uint32_t)(chance % MEDIA_AUDIO_SPREAD);
    mean = (rate - MEDIA_AUDIO_BITS) / 8 / MEDIA_FPS * MEDIA_GOP /
           (MEDIA_GOP - 1 + MEDIA_KEY_SIZE);
    if (media_is_key(serial))
        return (uint32_t)(mean * MEDIA_KEY_SIZE);
    return (uint32_t)(mean * (0.75 + (double)chance / 2048));
}

/* Write message SERIAL of publisher WHO, published at NOW, to AT, SIZE bytes.
 */
static inline void media_build(uint8_t *at, uint32_t size,
                               enum media_track track, uint32_t who,
                               uint32_t serial, double now)
{
    uint32_t nal = htobe32(size - 9), number = htobe32(serial);
    uint64_t seed, bits;
    unsigned stamp = media_stamp[track], head = stamp + 12;

    memcpy(at, track == MEDIA_AUDIO ? "\xaf\1" : "\x27\1\0\0\0", stamp);
    if (track == MEDIA_VIDEO) {
        at[0] = media_is_key(serial) ? 0x17 : 0x27;
        memcpy(at + 5, &nal, 4);
        at[9] = media_is_key(serial) ? 0x65 : 0x41;
    }
    memcpy(at + stamp, &number, 4);
    memcpy(&bits, &now, sizeof(bits));
    bits = htobe64(bits);
    memcpy(at + stamp + 4, &bits, sizeof(bits));
    seed = (uint64_t)(2 * who + track) << 32 | serial;
    payload_fill(at + head, size - head, payload_mix(seed), 0);
}

/* Is it a sequence header, and no frame? */
static inline bool media_is_header(const struct rtmp_message *m)
{
    return m->kept >= 2 && m->body[1] == 0;
}

/* What a message says of itself; returns false if it is too short to. */
static inline bool media_read(const struct rtmp_message *m,
                              enum media_track track, uint32_t *serial,
                              double *published)
{
    const uint8_t *stamp = m->body + media_stamp[track];

    if (m->kept < media_stamp[track] + 12)
        return false;
    *serial = rtmp_be32(stamp);
    *published = amf_read_number(stamp + 4);
    return true;
}

/* The body of the metadata message. */
static inline void media_describe(struct rtmp_out *out, double rate)
{
    const struct {
        const char *key;
        double value;
    } facts[] = {{"width", 1280},
                 {"height", 720},
                 {"framerate", MEDIA_FPS},
                 {"videocodecid", 7},
                 {"videodatarate", (rate - MEDIA_AUDIO_BITS) / 1024},
                 {"audiocodecid", 10},
                 {"audiodatarate", MEDIA_AUDIO_BITS / 1024.0},
                 {"audiosamplerate", MEDIA_RATE},
                 {"audiosamplesize", 16}};
    const unsigned count = sizeof(facts) / sizeof(facts[0]);
    unsigned i;

    amf_string(out, "@setDataFrame");
    amf_string(out, "onMetaData");
    amf_ecma(out, count);
    for (i = 0; i < count; i++) {
        amf_key(out, facts[i].key);
        amf_number(out, facts[i].value);
    }
    amf_end(out);
}

#endif
