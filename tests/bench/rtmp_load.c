/* rtmp_load.c -- publishes over RTMP in real time, views it many times over,
 * and counts what arrives.
 *
 * One thread, one epoll.  A stream is 720p30 at 4.5 Mbit/s by its sizes: a key
 * frame of four times the size every two seconds, and AAC at 44.1 kHz.  Some
 * viewers read every byte, and see that the chunks are well-formed, that time
 * does not go back, and that no message is missing; the others have the kernel
 * drop what it counted.
 */
#define _GNU_SOURCE
#include "load_clock.h"
#include "payload.h"
#include "rtmp_options.h"
#include "rtmp_wire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 64,
    INPUT = 1 << 22,
    RECEIVE_BUFFER = 1 << 22,
    CHECK_EVERY = 16, /* of the viewers, one reads what it is sent */
    TICK_MS = 5,
    GOP = 60, /* frames */
    KEY = 4,  /* times the size of others */
    AUDIO_BODY = 371,
    OUT_CHUNK = 65536,
    HEADER_ROOM = 32
};

static const double frame_rate = 30, audio_rate = 44100.0 / 1024;

struct viewer {
    int fd;
    uint64_t bytes;
    struct rtmp_reader *reader; /* of those that are checked */
};

struct publisher {
    int fd;
    uint64_t video, audio; /* messages so far */
};

struct load {
    struct rtmp_options options;
    int epoll;
    uint64_t bytes; /* to all viewers */
    uint64_t began;
    struct viewer *viewers;
    struct publisher *publishers;
    uint32_t frame; /* bytes of one that is no key frame */
    uint8_t *input, *message;
};

static int open_connection(const struct load *l, int receive)
{
    struct timeval wait = {.tv_sec = 10};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket: %s", strerror(errno));
    if ((receive && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive,
                               sizeof(receive)) < 0) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        die("setsockopt: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&l->options.address,
                sizeof(l->options.address)) < 0)
        die("connect: %s", strerror(errno));
    return fd;
}

static void say(int fd, const uint8_t *data, size_t n)
{
    if (send(fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("send: %s", strerror(errno));
}

/* Read until WORD has come; what follows it in the same segment is read, too,
 * and is the end of a command. */
static void await(int fd, const char *word)
{
    uint8_t seen[8192];
    size_t fill = 0;
    ssize_t n;

    while (fill < sizeof(seen)) {
        n = recv(fd, seen + fill, sizeof(seen) - fill, 0);
        if (n <= 0)
            die("no %s: %s", word, n < 0 ? strerror(errno) : "closed");
        fill += (size_t)n;
        if (memmem(seen, fill, word, strlen(word)))
            return;
    }
    die("no %s in %zu bytes", word, fill);
}

static uint8_t *command(uint8_t *at, uint8_t stream, uint8_t *body,
                        const uint8_t *end)
{
    uint32_t size = (uint32_t)(end - body);

    at = rtmp_header(at, 3, 0, size, RTMP_COMMAND, stream);
    memmove(at, body, size);
    return at + size;
}

/* The handshake, and all commands up to VERB of stream NAME at once. */
static void set_up(int fd, const char *verb, unsigned name)
{
    uint8_t out[2048], body[512], *at = out, *end;
    uint8_t hello[RTMP_HANDSHAKE] = {3};
    char text[32];

    snprintf(text, sizeof(text), "bench%u", name);
    say(fd, hello, sizeof(hello));
    for (size_t left = RTMP_HANDSHAKE + RTMP_C2; left > 0;) {
        ssize_t n = recv(fd, out, left < sizeof(out) ? left : sizeof(out), 0);

        if (n <= 0)
            die("no handshake: %s", n < 0 ? strerror(errno) : "closed");
        left -= (size_t)n;
    }
    say(fd, hello + 1, RTMP_C2);
    at = rtmp_chunk_size(at, OUT_CHUNK);
    end = rtmp_number(rtmp_string(body, "connect"), 1);
    *end++ = 3;
    end = rtmp_property(end, "app", "live");
    end = rtmp_put(end, 9, 3);
    at = command(at, 0, body, end);
    end = rtmp_number(rtmp_string(body, "createStream"), 2);
    *end++ = 5;
    at = command(at, 0, body, end);
    end = rtmp_number(rtmp_string(body, verb), 3);
    *end++ = 5;
    end = rtmp_string(end, text);
    if (verb[1] == 'u') /* publish */
        end = rtmp_string(end, "live");
    at = command(at, 1, body, end);
    say(fd, out, (size_t)(at - out));
    await(fd,
          verb[1] == 'u' ? "NetStream.Publish.Start" : "NetStream.Play.Start");
}

static void watch(const struct load *l, int fd, struct viewer *v)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = v};

    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* The servers pause after a command; what is still to come of it is read
 * here, so that readers begin between messages. */
static void quiet(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    uint8_t dropped[4096];

    while (poll(&readable, 1, 20) > 0)
        if (recv(fd, dropped, sizeof(dropped), 0) <= 0)
            die("a viewer was lost before it began");
}

static void open_viewers(struct load *l)
{
    for (unsigned i = 0; i < l->options.viewers; i++) {
        struct viewer *v = &l->viewers[i];

        v->fd = open_connection(l, RECEIVE_BUFFER);
        set_up(v->fd, "play", 0);
        if (i % CHECK_EVERY == 0) {
            quiet(v->fd);
            v->reader = calloc(1, sizeof(*v->reader));
            if (!v->reader)
                die("out of memory");
            v->reader->chunk_size = l->options.chunk;
        }
        watch(l, v->fd, v);
    }
}

static void open_publishers(struct load *l)
{
    double audio = AUDIO_BODY * audio_rate;

    l->frame = (uint32_t)((l->options.bits / 8 - audio) * GOP / frame_rate /
                          (GOP - 1 + KEY));
    l->message = malloc(KEY * l->frame + 64);
    if (!l->message)
        die("out of memory");
    for (unsigned i = 0; i < l->options.publishers; i++) {
        l->publishers[i].fd = open_connection(l, 0);
        set_up(l->publishers[i].fd, "publish", i);
        watch(l, l->publishers[i].fd, NULL);
    }
}

static void send_message(struct load *l, const struct publisher *p,
                         uint8_t csid, uint8_t kind, uint32_t time,
                         const uint8_t *head, uint32_t head_size, uint32_t size)
{
    uint8_t *at = rtmp_header(l->message, csid, time, size, kind, 1);

    memcpy(at, head, head_size);
    if (size > head_size)
        payload_fill(at + head_size, size - head_size,
                     p->video * 1000 + p->audio, kind);
    at += size;
    /* Large ones are cut where our chunks end. */
    if (size > OUT_CHUNK) {
        uint8_t *cut = at - size + OUT_CHUNK;

        memmove(cut + 1, cut, size - OUT_CHUNK);
        *cut = (uint8_t)(0xC0 | csid);
        at++;
    }
    say(p->fd, l->message, (size_t)(at - l->message));
}

static void begin_stream(struct load *l, struct publisher *p)
{
    static const uint8_t video[] = {0x17, 0,    0, 0, 0, 1,    0x64, 0, 0x1f,
                                    0xff, 0xe1, 0, 1, 0, 0x01, 0,    1, 0};
    static const uint8_t audio[] = {0xaf, 0, 0x12, 0x10};

    send_message(l, p, 6, RTMP_VIDEO, 0, video, sizeof(video), sizeof(video));
    send_message(l, p, 4, RTMP_AUDIO, 0, audio, sizeof(audio), sizeof(audio));
}

/* Send what is due of stream P at SECONDS since the start. */
static void publish(struct load *l, struct publisher *p, double seconds)
{
    static const uint8_t key[] = {0x17, 1, 0, 0, 0},
                         frame[] = {0x27, 1, 0, 0, 0};
    static const uint8_t sound[] = {0xaf, 1};

    while ((double)p->video / frame_rate <= seconds) {
        bool is_key = p->video % GOP == 0;
        uint32_t time = (uint32_t)((double)p->video * 1000 / frame_rate);

        send_message(l, p, 6, RTMP_VIDEO, time, is_key ? key : frame, 5,
                     is_key ? KEY * l->frame : l->frame);
        p->video++;
    }
    while ((double)p->audio / audio_rate <= seconds) {
        uint32_t time = (uint32_t)((double)p->audio * 1000 / audio_rate);

        send_message(l, p, 4, RTMP_AUDIO, time, sound, 2, AUDIO_BODY);
        p->audio++;
    }
}

static void viewer_readable(struct load *l, struct viewer *v)
{
    ssize_t n = recv(v->fd, l->input, INPUT,
                     MSG_DONTWAIT | (v->reader ? 0 : MSG_TRUNC));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("a viewer was lost after %llu bytes: %s",
            (unsigned long long)v->bytes, n < 0 ? strerror(errno) : "closed");
    v->bytes += (uint64_t)n;
    l->bytes += (uint64_t)n;
    if (!v->reader)
        return;
    rtmp_read(v->reader, l->input, (size_t)n);
    if (v->reader->problem)
        die("a viewer was sent what is wrong: %s", v->reader->problem);
}

/* Acknowledgements and pings are read, and not answered: a run is short. */
static void drop(struct load *l)
{
    for (unsigned i = 0; i < l->options.publishers; i++)
        while (recv(l->publishers[i].fd, l->input, INPUT, MSG_DONTWAIT) > 0)
            ;
}

static void turn(struct load *l, bool publishing)
{
    struct epoll_event events[EVENTS];
    double seconds = (double)(now_ns() - l->began) / 1e9;
    int n;

    for (unsigned i = 0; publishing && i < l->options.publishers; i++)
        publish(l, &l->publishers[i],
                seconds - (double)i / frame_rate / l->options.publishers);
    n = epoll_wait(l->epoll, events, EVENTS, publishing ? TICK_MS : 100);
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr)
            viewer_readable(l, events[i].data.ptr);
        else
            drop(l);
    }
}

static void turn_until(struct load *l, uint64_t end)
{
    while (now_ns() < end)
        turn(l, true);
}

/* What was published must come to each viewer, but for what a server sends
 * only with what follows it. */
static void finish(struct load *l)
{
    const struct publisher *p = &l->publishers[0];
    uint64_t end = now_ns() + 10000000000U;
    uint64_t least = UINT64_MAX, most = 0;

    for (unsigned i = 0; i < l->options.viewers; i += CHECK_EVERY) {
        const struct rtmp_reader *r = l->viewers[i].reader;

        while (r->video < p->video + 1 || r->audio < p->audio + 1) {
            if (now_ns() > end)
                die("viewer %u has %llu of %llu frames, %llu of %llu sounds", i,
                    (unsigned long long)r->video,
                    (unsigned long long)p->video + 1,
                    (unsigned long long)r->audio,
                    (unsigned long long)p->audio + 1);
            turn(l, false);
        }
    }
    while (l->bytes > 0) { /* until nothing comes any more */
        uint64_t before = l->bytes;

        turn(l, false);
        if (l->bytes == before)
            break;
    }
    for (unsigned i = 0; i < l->options.viewers; i++) {
        uint64_t bytes = l->viewers[i].bytes;

        least = bytes < least ? bytes : least;
        most = bytes > most ? bytes : most;
    }
    if (l->options.viewers > 0 && most - least > 4096)
        die("viewers got from %llu to %llu bytes", (unsigned long long)least,
            (unsigned long long)most);
}

static void print_result(const struct load *l, const struct mark *from,
                         const struct mark *to)
{
    const struct rtmp_options *o = &l->options;
    double bytes = (double)(to->messages - from->messages);
    double seconds = (double)(to->time - from->time) / 1e9;
    double cpu = to->server_cpu - from->server_cpu;
    double sent = (double)o->publishers * o->bits / 8 * seconds;

    printf("{\"viewers\":%u,\"publishers\":%u,\"seconds\":%.6f,"
           "\"bytes\":%.0f,\"rate\":%.2f,",
           o->viewers, o->publishers, seconds, bytes,
           (o->viewers > 0 ? bytes : sent) / seconds / 1e6);
    if (o->pids.count > 0 && o->viewers > 0)
        printf("\"cpu_s_gb\":%.5f,", cpu * 1e9 / bytes);
    if (o->pids.count > 0)
        printf("\"cpu_ms_publisher\":%.5f,\"server_busy\":%.3f,",
               cpu * 1e3 / seconds / o->publishers, cpu / seconds);
    printf("\"load_busy\":%.3f}\n", (to->own_cpu - from->own_cpu) / seconds);
}

int main(int argc, char **argv)
{
    static struct load l;
    struct mark from, to;
    struct rlimit limit;

    rtmp_parse(&l.options, argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.viewers = calloc(l.options.viewers + 1, sizeof(*l.viewers));
    l.publishers = calloc(l.options.publishers, sizeof(*l.publishers));
    l.input = malloc(INPUT);
    if (l.epoll < 0 || !l.viewers || !l.publishers || !l.input)
        die("cannot start: %s", strerror(errno));
    open_viewers(&l);
    open_publishers(&l);
    for (unsigned i = 0; i < l.options.publishers; i++)
        begin_stream(&l, &l.publishers[i]);
    l.began = now_ns();
    turn_until(&l, l.began + (uint64_t)(l.options.warmup * 1e9));
    from = take_mark(l.bytes, &l.options.pids);
    turn_until(&l, from.time + (uint64_t)(l.options.seconds * 1e9));
    to = take_mark(l.bytes, &l.options.pids);
    finish(&l);
    print_result(&l, &from, &to);
    return 0;
}
