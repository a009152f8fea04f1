/* format_bench.c -- what the unpacker costs per frame, beside C written by hand
 * for that one format, over the same bytes in the same run.
 *
 * Each row walks a buffer of unlike frames; the best of several walks counts.
 * Both sides leave their values in memory and check how much is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pack.h"
#include "unpack.h"

enum { FRAMES = 8192, ROOM = 1 << 20, WALKS = 60, LIMIT = 1 << 20 };

/* One frame by hand: its size, or 0 when it is not all there. */
typedef size_t (*by_hand_fn)(const uint8_t *at, size_t avail,
                             union ld_value *values);
typedef size_t (*make_fn)(uint8_t *at, unsigned i);

struct row {
    const char *name;
    const char *format;
    make_fn make;
    by_hand_fn by_hand;
};

static uint8_t bytes[ROOM + LD_SLACK];
static union ld_value values[LD_FORMAT_VALUES];

static uint64_t word(const uint8_t *at)
{
    uint64_t x;

    memcpy(&x, at, sizeof(x));
    return x;
}

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

static size_t fill(uint8_t *at, size_t n, unsigned seed)
{
    size_t i;

    for (i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        at[i] = (uint8_t)('a' + (seed >> 16) % 26);
    }
    return n;
}

static size_t make_header(uint8_t *at, unsigned i)
{
    return fill(at, 12, i);
}

static size_t hand_header(const uint8_t *at, size_t avail, union ld_value *v)
{
    if (avail < 12)
        return 0;
    v[0].n = at[0] >> 6;
    v[1].n = at[0] & 63;
    v[2].n = be32(at + 1) >> 8;
    v[3].n = be32(at + 4) >> 8;
    v[4].n = at[7];
    v[5].n = (double)(word(at + 8) & 0xffffffff);
    return 12;
}

static size_t make_byte(uint8_t *at, unsigned i)
{
    return fill(at, 1, i);
}

static size_t hand_bits(const uint8_t *at, size_t avail, union ld_value *v)
{
    if (avail < 1)
        return 0;
    v[0].n = at[0] >> 6;
    v[1].n = at[0] & 63;
    return 1;
}

static size_t make_slice(uint8_t *at, unsigned i)
{
    memcpy(at, "\0\0\0\100", 4);
    return 4 + fill(at + 4, 64, i);
}

static size_t hand_slice(const uint8_t *at, size_t avail, union ld_value *v)
{
    uint32_t len;

    if (avail < 4)
        return 0;
    len = be32(at);
    if (len > LIMIT - 4 || avail < 4 + (size_t)len)
        return 0;
    v[0].s.off = 4;
    v[0].s.len = len;
    return 4 + (size_t)len;
}

static size_t make_line(uint8_t *at, unsigned i)
{
    fill(at, 33, i);
    memcpy(at + 33, "\r\n", 2);
    return 35;
}

static size_t hand_line(const uint8_t *at, size_t avail, union ld_value *v)
{
    const uint8_t *end = memchr(at, '\n', avail < LIMIT ? avail : LIMIT);
    size_t len;

    if (!end)
        return 0;
    len = (size_t)(end - at);
    v[0].s.off = 0;
    v[0].s.len = (uint32_t)(len - (len > 0 && end[-1] == '\r'));
    return len + 1;
}

static size_t make_mqtt(uint8_t *at, unsigned i)
{
    at[0] = (uint8_t)(i * 7);
    at[1] = 16;
    return 2 + fill(at + 2, 16, i);
}

static size_t hand_mqtt(const uint8_t *at, size_t avail, union ld_value *v)
{
    uint32_t len = 0;
    size_t i = 1;

    do {
        if (i == avail || i > 4)
            return 0;
        len |= (uint32_t)(at[i] & 127) << (7 * (i - 1));
    } while (at[i++] & 128);
    if (len > LIMIT || avail - i < len)
        return 0;
    v[0].n = at[0] >> 4;
    v[1].n = at[0] & 15;
    v[2].s.off = (uint32_t)i;
    v[2].s.len = len;
    return i + len;
}

static size_t make_named(uint8_t *at, unsigned i)
{
    memcpy(at, "\1\0\20", 3);
    return 3 + fill(at + 3, 16, i);
}

static size_t hand_named(const uint8_t *at, size_t avail, union ld_value *v)
{
    uint32_t len;

    if (avail < 3)
        return 0;
    len = (uint32_t)at[1] << 8 | at[2];
    if (avail < 3 + (size_t)len)
        return 0;
    v[0].n = at[0];
    v[1].n = len;
    v[2].s.off = 3;
    v[2].s.len = len;
    return 3 + (size_t)len;
}

static const struct row rows[] = {
    {"RTMP header", ">u2u6 I3 I3 B <I4", make_header, hand_header},
    {"RTMP basic header", ">u2u6", make_byte, hand_bits},
    {"u32 and slice", ">&s4", make_slice, hand_slice},
    {"line of 35 bytes", "&y", make_line, hand_line},
    {"MQTT packet", ">u4u4 &sm{262144}", make_mqtt, hand_mqtt},
    {"named length", ">B len:I2 &c@len", make_named, hand_named},
};

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static size_t walk_hand(by_hand_fn by_hand, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t n = by_hand(bytes + at, size - at, values);

        if (n == 0)
            abort();
        __asm__ volatile("" ::: "memory");
        at += n;
    }
    return at;
}

static size_t walk_unpack(const struct ld_format *f, size_t size)
{
    struct ld_parse p;
    size_t at = 0;

    memset(&p, 0, sizeof(p));
    while (at < size) {
        p.pc = p.pos = p.scan = p.count = p.depth = 0;
        if (ld_unpack(f, &p, bytes + at, size - at, LIMIT, values))
            abort();
        __asm__ volatile("" ::: "memory");
        at += p.pos;
    }
    return at;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static void measure(const struct row *row)
{
    struct ld_format_error err;
    struct ld_format *f =
        ld_format_compile(row->format, strlen(row->format), &err);
    double hand = 1e18;
    double unpack = 1e18;
    size_t size = 0;
    unsigned i;

    if (!f)
        abort();
    for (i = 0; i < FRAMES; i++)
        size += row->make(bytes + size, i);
    for (i = 0; i < WALKS; i++) {
        double start = now_ns();
        double middle;

        walk_hand(row->by_hand, size);
        middle = now_ns();
        walk_unpack(f, size);
        hand = smaller(hand, middle - start);
        unpack = smaller(unpack, now_ns() - middle);
    }
    printf("%-20s %8.2f %8.2f %6.1fx\n", row->name, hand / FRAMES,
           unpack / FRAMES, unpack / hand);
    ld_format_free(f);
}

int main(void)
{
    size_t i;

    printf("%-20s %8s %8s  (ns a frame)\n", "", "by hand", "unpack");
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        measure(&rows[i]);
    return 0;
}
