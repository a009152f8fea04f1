/* test_channel_model.c -- followers of two channels under random events, held
 * against what the header promises.
 *
 * Entries and preambles tell their own number and size, so what a follower was
 * sent can be read back: whole blobs, in order, with no gap but those that its
 * policy allows.
 */
#include "support_channel.h"

enum {
    PEERS = 24, /* enough that entries are joined */
    CHANNELS = 2,
    STEPS = 3000,
    ROUNDS = 30,
    LOG_BYTES = 600,
    LOG_ITEMS = 12,
    HEADER = 20,
    ENTRY_MAX = 120
};

static uint64_t seed;

static uint32_t chance(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed % n);
}

struct source {
    struct ld_channel *ch;
    uint32_t preambles; /* ever set */
    bool marks[STEPS + 1];
};

struct listener {
    struct peer peer;
    int source; /* -1: follows nothing */
    enum ld_policy policy;
    bool fresh;        /* nothing of this source was read yet */
    bool greeted;      /* by this source */
    bool always_ready; /* and so must miss nothing */
    uint64_t joined;   /* head when it began to follow */
    uint64_t next;     /* the entry after the last one read */
};

static struct source sources[CHANNELS];
static struct listener listeners[PEERS];

/* "E source number size ": ... up to SIZE bytes in all. */
static void make(struct ld_chain *q, char kind, int source, uint64_t number)
{
    char text[ENTRY_MAX + 1];
    uint32_t size = HEADER + chance(ENTRY_MAX - HEADER);

    memset(text, '.', sizeof(text));
    snprintf(text, sizeof(text), "%c%d %010llu %05u ", kind, source,
             (unsigned long long)number, size);
    text[HEADER] = '.';
    ld_chain_init(q, &rig.pool->chunks);
    assert_int_equal(ld_chain_write(q, text, size), LD_OK);
}

static void publish(int i)
{
    struct source *s = &sources[i];
    bool mark = chance(5) == 0;
    struct ld_chain q;

    make(&q, 'E', i, s->ch->head);
    s->marks[s->ch->head] = mark;
    assert_int_equal(ld_channel_publish(s->ch, &q, mark), LD_OK);
    assert_true(ld_channel_bytes(s->ch) <= LOG_BYTES);
    assert_true(s->ch->head - s->ch->tail <= LOG_ITEMS);
    ld_chain_clear(&q);
}

static void set_preamble(int i)
{
    struct ld_chain q;

    make(&q, 'P', i, ++sources[i].preambles);
    assert_int_equal(ld_channel_preamble(sources[i].ch, &q), LD_OK);
    ld_chain_clear(&q);
}

/* L has got entry N of its source. */
static void check_entry(struct listener *l, uint64_t n)
{
    const struct source *s = &sources[l->source];

    assert_true(n < s->ch->head);
    if (l->fresh)
        assert_true(n >= l->joined || s->marks[n] || l->policy == LD_DROP);
    else if (l->always_ready || l->policy == LD_QUIT)
        assert_int_equal(n, l->next);
    else
        assert_true(n >= l->next);
    l->fresh = false;
    l->next = n + 1;
}

/* Read back what L was sent, all of it whole. */
static void check_heard(struct listener *l)
{
    struct ld_chain *out = &l->peer.memory.output;
    char kind, head[HEADER + 1] = "";
    unsigned long long number;
    unsigned size;
    int source;

    while (out->bytes > 0) {
        assert_true(out->bytes >= HEADER);
        ld_chain_copy(out, 0, HEADER, (uint8_t *)head);
        assert_int_equal(
            sscanf(head, "%c%d %llu %u ", &kind, &source, &number, &size), 4);
        assert_true(out->bytes >= size);
        ld_chain_consume(out, size);
        if (source != l->source)
            continue; /* of what it followed before */
        if (kind == 'E') {
            check_entry(l, number);
        } else {
            assert_true(number <= sources[source].preambles);
            assert_true(!l->greeted || !l->always_ready);
            l->greeted = true;
        }
    }
}

/* L takes all that is there for it. */
static void catch_up(struct listener *l)
{
    settle();
    if (!l->peer.c)
        return;
    l->peer.memory.room = 0;
    peer_take(&l->peer, 1 << 20);
    if (!l->peer.c)
        return;
    check_heard(l);
    assert_int_equal(ld_conn_unsent(l->peer.c), 0);
    assert_false(l->peer.c->blocked);
    l->peer.memory.room = l->always_ready ? SIZE_MAX : 0;
}

static void follow(struct listener *l)
{
    uint64_t lag = chance(2) ? UINT64_MAX : 100 + chance(400);
    int i = (int)chance(CHANNELS);

    if (!l->peer.c || l->peer.c->doom || l->source == i)
        return;
    catch_up(l);
    if (!l->peer.c)
        return;
    l->policy = (enum ld_policy)chance(3);
    l->source = i;
    l->fresh = true;
    l->greeted = false;
    l->joined = sources[i].ch->head;
    assert_int_equal(
        ld_channel_follow(sources[i].ch, l->peer.c, lag, l->policy), LD_OK);
}

static void reopen(struct listener *l)
{
    if (l->peer.handle)
        peer_free(&l->peer);
    peer_open(&l->peer, &rig, listen_only, NULL);
    l->source = -1;
    l->always_ready = chance(3) == 0;
    l->peer.memory.room = l->always_ready ? SIZE_MAX : 0;
    follow(l);
}

static void step(void)
{
    struct listener *l = &listeners[chance(PEERS)];
    int i = (int)chance(CHANNELS);

    switch (chance(16)) {
    case 0: settle(); break;
    case 1: follow(l); break;
    case 2: reopen(l); break;
    case 3: catch_up(l); break;
    case 4: pass(0.01 * chance(20)); break;
    case 5:
        if (chance(8) == 0)
            set_preamble(i);
        break;
    case 6:
        if (l->peer.c && chance(4) == 0) {
            ld_channel_forget(l->peer.c);
            catch_up(l);
            l->source = -1;
        }
        break;
    case 7:
    case 8:
    case 9:
        if (l->peer.c && !l->always_ready)
            peer_take(&l->peer, chance(150));
        break;
    default: publish(i);
    }
}

/* A follower that reads again has all, to the last entry. */
static void check_the_end(void)
{
    pass(10);
    for (int i = 0; i < PEERS; i++) {
        struct listener *l = &listeners[i];

        catch_up(l);
        if (l->peer.c && l->source >= 0) {
            const struct ld_follower *f = l->peer.c->extra->follower;

            assert_int_equal(f->next, sources[l->source].ch->head);
            if (!l->fresh && l->always_ready)
                assert_int_equal(l->next, f->next);
        }
        peer_free(&l->peer);
        l->peer.handle = 0;
    }
}

static void followers_are_sent_what_the_model_allows(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        seed = round * 0x9e3779b97f4a7c15;
        memset(sources, 0, sizeof(sources));
        for (int i = 0; i < CHANNELS; i++)
            sources[i].ch = channel_new(LOG_BYTES, LOG_ITEMS, i * 0.05);
        for (int i = 0; i < PEERS; i++)
            reopen(&listeners[i]);
        for (int i = 0; i < STEPS; i++)
            step();
        check_the_end();
        for (int i = 0; i < CHANNELS; i++) {
            assert_int_equal(sources[i].ch->count, 0);
            ld_channel_free(sources[i].ch);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            followers_are_sent_what_the_model_allows, rig_set_up,
            rig_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
