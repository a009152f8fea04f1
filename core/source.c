/* source.c -- see source.h. */
#include "source.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 64, SWEEP = 8 /* buckets looked at for each newcomer */ };

/* What may be done at once grows by so much each second, up to a second's
 * worth; it may be overdrawn. */
struct allowance {
    double left, at;
};

struct ld_source {
    struct ld_source *next; /* in its bucket */
    struct ld_host host;
    uint32_t open;
    struct allowance comers, bytes;
};

struct ld_sources {
    struct ld_source_limits limits;
    uint64_t seed;
    struct ld_source **buckets; /* a power of two */
    uint32_t bucket_count, count, swept;
};

struct ld_sources *ld_sources_new(uint64_t seed)
{
    struct ld_sources *all = calloc(1, sizeof(*all));

    if (!all)
        return NULL;
    all->seed = seed;
    all->bucket_count = BUCKETS_MIN;
    all->buckets = calloc(BUCKETS_MIN, sizeof(struct ld_source *));
    if (all->buckets)
        return all;
    free(all);
    return NULL;
}

void ld_sources_free(struct ld_sources *all)
{
    if (!all)
        return;
    for (uint32_t i = 0; i < all->bucket_count; i++)
        while (all->buckets[i]) {
            struct ld_source *s = all->buckets[i];

            all->buckets[i] = s->next;
            free(s);
        }
    free(all->buckets);
    free(all);
}

void ld_sources_limit(struct ld_sources *all,
                      const struct ld_source_limits *limits)
{
    all->limits = *limits;
}

const struct ld_source_limits *ld_sources_limits(const struct ld_sources *all)
{
    return &all->limits;
}

uint32_t ld_sources_count(const struct ld_sources *all)
{
    return all->count;
}

/* Keyed, as whoever knew it could have all sources in one bucket. */
static uint32_t bucket_of(const struct ld_sources *all,
                          const struct ld_host *host)
{
    uint64_t a, b;
    unsigned __int128 product;

    memcpy(&a, host->bytes, 8);
    memcpy(&b, host->bytes + 8, 8);
    product = (unsigned __int128)(a ^ all->seed) *
              (b ^ (all->seed * 0x9e3779b97f4a7c15U + 1));
    a = (uint64_t)product ^ (uint64_t)(product >> 64);
    a *= 0xd6e8feb86659fd93U;
    return (uint32_t)(a >> 32) & (all->bucket_count - 1);
}

static void grow(struct ld_sources *all)
{
    struct ld_source **former = all->buckets;
    uint32_t count = all->bucket_count;

    all->buckets = calloc(2 * count, sizeof(struct ld_source *));
    if (!all->buckets) {
        all->buckets = former; /* it goes on, with longer chains */
        return;
    }
    all->bucket_count = 2 * count;
    for (uint32_t i = 0; i < count; i++)
        while (former[i]) {
            struct ld_source *s = former[i];
            uint32_t b = bucket_of(all, &s->host);

            former[i] = s->next;
            s->next = all->buckets[b];
            all->buckets[b] = s;
        }
    free(former);
}

static double left_at(const struct allowance *a, double rate, double now)
{
    double left = a->left + (now - a->at) * rate;

    return left < rate ? left : rate;
}

static void spend(struct allowance *a, double rate, double n, double now)
{
    a->left = left_at(a, rate, now) - n;
    a->at = now;
}

static bool is_whole(const struct allowance *a, double rate, double now)
{
    return rate <= 0 || left_at(a, rate, now) >= rate;
}

static bool may_be_forgotten(const struct ld_sources *all,
                             const struct ld_source *s, double now)
{
    return s->open == 0 && is_whole(&s->comers, all->limits.rate, now) &&
           is_whole(&s->bytes, all->limits.bytes, now);
}

/* Forget some of those that are to be: in time, all. */
static void sweep(struct ld_sources *all, double now)
{
    for (int i = 0; i < SWEEP; i++) {
        struct ld_source **at =
            &all->buckets[all->swept++ & (all->bucket_count - 1)];

        while (*at) {
            struct ld_source *s = *at;

            if (!may_be_forgotten(all, s, now)) {
                at = &s->next;
                continue;
            }
            *at = s->next;
            free(s);
            all->count--;
        }
    }
}

static struct ld_source *find(struct ld_sources *all,
                              const struct ld_host *host)
{
    struct ld_source *s = all->buckets[bucket_of(all, host)];

    while (s && memcmp(&s->host, host, sizeof(*host)) != 0)
        s = s->next;
    return s;
}

static struct ld_source *add(struct ld_sources *all, const struct ld_host *host,
                             double now)
{
    struct ld_source *s;
    uint32_t b;

    sweep(all, now);
    if (all->count >= LD_SOURCES_MAX)
        return NULL;
    if (all->count >= all->bucket_count)
        grow(all);
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->host = *host;
    s->comers = (struct allowance){all->limits.rate, now};
    s->bytes = (struct allowance){all->limits.bytes, now};
    b = bucket_of(all, host);
    s->next = all->buckets[b];
    all->buckets[b] = s;
    all->count++;
    return s;
}

static bool key_of(const struct ld_sources *all, struct ld_host *host,
                   const struct sockaddr_storage *sa)
{
    static const uint8_t mapped[12] = {[10] = 255, [11] = 255};
    bool v4;

    if (!ld_network_host(host, sa))
        return false;
    v4 = memcmp(host->bytes, mapped, sizeof(mapped)) == 0;
    ld_network_mask(host, v4 ? 96 + all->limits.v4 : all->limits.v6);
    return true;
}

enum ld_source_verdict ld_sources_enter(struct ld_sources *all,
                                        const struct sockaddr_storage *sa,
                                        double now, struct ld_source **source)
{
    const struct ld_source_limits *limits = &all->limits;
    struct ld_host host;
    struct ld_source *s;

    *source = NULL;
    if (!key_of(all, &host, sa))
        return LD_SOURCE_GOOD;
    s = find(all, &host);
    if (!s)
        s = add(all, &host, now);
    if (!s)
        return LD_SOURCE_GOOD;
    if (limits->connections > 0 && s->open >= limits->connections)
        return LD_SOURCE_CONNECTIONS;
    if (limits->rate > 0 && left_at(&s->comers, limits->rate, now) < 1)
        return LD_SOURCE_RATE;
    if (limits->rate > 0)
        spend(&s->comers, limits->rate, 1, now);
    s->open++;
    *source = s;
    return LD_SOURCE_GOOD;
}

void ld_sources_leave(struct ld_source *source)
{
    if (source)
        source->open--;
}

double ld_source_charge(const struct ld_sources *all, struct ld_source *source,
                        uint64_t n, double now)
{
    double rate = all->limits.bytes;

    if (rate <= 0)
        return 0;
    spend(&source->bytes, rate, (double)n, now);
    return source->bytes.left < 0 ? -source->bytes.left / rate : 0;
}
