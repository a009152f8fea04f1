/* test_bind_native.c -- handlers in C: frames, states, messages, errors, data;
 * whatever way the bytes come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_host.h"

/* A store: a name logs in, then frames of a kind, a key and a value. */
enum { LOGIN, FRAME, MANY, TEXT };

struct counts {
    int closed, failed;
    char code[32], why[64];
    struct ld_session *last;
};

static int on_login(struct ld_session *s, const struct ld_frame *f)
{
    size_t n;
    const char *name = ld_frame_bytes(f, 0, &n);
    char *copy;

    if (n > 20)
        return ld_session_fail(s, "the name is too long");
    copy = calloc(1, n + 1);
    memcpy(copy, name, n);
    ld_session_set_data(s, copy);
    ld_session_subscribe(s, "news/#");
    ld_session_write(s, "hello ", 6);
    ld_session_write(s, copy, n);
    ld_session_write(s, "\n", 1);
    return FRAME;
}

static int on_frame(struct ld_session *s, const struct ld_frame *f)
{
    char text[128];
    size_t n;
    const char *value = ld_frame_bytes(f, 2, &n);

    switch ((int)ld_frame_number(f, 0)) {
    case 1:
        snprintf(text, sizeof(text), "%s: %lld = %.*s of %zu\n",
                 (char *)ld_session_data(s), (long long)ld_frame_integer(f, 1),
                 (int)n, value, ld_frame_count(f));
        ld_session_write(s, text, strlen(text));
        return FRAME;
    case 2: return MANY;
    case 3: return TEXT;
    case 4: return LD_STATE_END;
    default: return 99; /* a mistake of the host's */
    }
}

/* A repeat: its count, and its items, between the number that it repeats and
 * one of 64 bits. */
static int on_many(struct ld_session *s, const struct ld_frame *f)
{
    struct ld_item items[8];
    size_t count = (size_t)ld_frame_number(f, 1), last = 2 + 2 * count;

    assert_int_equal(ld_frame_number(f, 0), count);
    assert_int_equal(ld_frame_count(f), last + 1);
    items[0] = LD_NUMBER((double)count);
    items[1] = LD_COUNT((double)count);
    for (size_t i = 0; i < count; i++)
        items[2 + i] = LD_NUMBER(ld_frame_number(f, 2 + 2 * i));
    items[2 + count] = LD_INTEGER(ld_frame_integer(f, last));
    if (ld_session_pack(s, ">n:B @n*(B) j", items, count + 3))
        return ld_session_fail(s, ld_error_text());
    return FRAME;
}

/* A state without a frame goes on at once. */
static int on_text(struct ld_session *s, const struct ld_frame *f)
{
    assert_int_equal(ld_frame_count(f), 0);
    assert_null(ld_frame_raw(f, NULL));
    ld_session_write(s, "text\n", 5);
    return FRAME;
}

static int on_news(struct ld_session *s, const char *topic, const void *message,
                   size_t size)
{
    ld_session_write(s, topic, strlen(topic));
    ld_session_write(s, message, size);
    if (size == 3 && memcmp(message, "end", 3) == 0)
        return LD_STATE_END;
    return size == 4 && memcmp(message, "text", 4) == 0 ? TEXT : LD_STATE_STAY;
}

static int on_error(struct ld_session *s, const char *code, const char *text)
{
    struct counts *c = ld_session_ctx(s);

    c->failed++;
    snprintf(c->code, sizeof(c->code), "%s", code);
    snprintf(c->why, sizeof(c->why), "%s", text);
    return LD_STATE_END;
}

static void on_close(struct ld_session *s)
{
    struct counts *c = ld_session_ctx(s);

    free(ld_session_data(s));
    c->closed++;
}

static const struct ld_state states[] = {
    {"login", "s1", 0, 0.5, on_login},
    {"frame", ">B I4 s2", 20, 0, on_frame},
    {"many", ">n:B @n*(B &s1) j", 0, 0, on_many},
    {"text", NULL, 0, 0, on_text},
};

static struct ld_gateway *serve(struct counts *c, int *port)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct ld_handler h = {LD_HANDLER,
                           .states = states,
                           .state_count = 4,
                           .ctx = c,
                           .on_message = on_news,
                           .on_error = on_error,
                           .on_close = on_close};

    memset(c, 0, sizeof(*c));
    if (ld_gateway_add_handler(g, "store", &h))
        fail_msg("%s", ld_error_text());
    *port = host_load(g, "'store'");
    assert_int_equal(ld_gateway_start(g), 0);
    return g;
}

static bool send_bytes(int fd, const char *p, size_t n)
{
    return write(fd, p, n) == (ssize_t)n;
}

#define SEND(fd, text) assert_true(send_bytes(fd, text, sizeof(text) - 1))

/* A client called a. */
static int login(int port)
{
    int fd = host_connect(port);

    SEND(fd, "\1a");
    assert_true(host_asks(fd, "", "hello a\n"));
    return fd;
}

/* The frames of a session arrive, byte by byte. */
static void test_frames(void **state)
{
    static const char script[] = "\3ann"
                                 "\1\0\0\0\7\0\2hi"
                                 "\3\0\0\0\0\0\0"
                                 "\1\377\377\377\377\0\0";
    struct counts c;
    struct ld_gateway *g;
    int port, fd;

    (void)state;
    g = serve(&c, &port);
    fd = host_connect(port);
    for (size_t i = 0; i < sizeof(script) - 1; i++)
        assert_true(send_bytes(fd, script + i, 1));
    assert_true(host_asks(fd, "",
                          "hello ann\nann: 7 = hi of 3\ntext\n"
                          "ann: 4294967295 =  of 3\n"));
    SEND(fd, "\4\0\0\0\0\0\0");
    assert_true(host_ended(fd));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(c.closed, 1);
    assert_int_equal(c.failed, 0);
}

/* Groups have their count, and what is in them; 64 bits stay exact. */
static void test_groups(void **state)
{
    static const char many[] = "\2\0\0\0\0\0\0"
                               "\2\11\1x\12\1y\177\377\377\377\377\377\377\377";
    char got[11];
    struct counts c;
    struct ld_gateway *g;
    int port, fd;

    (void)state;
    g = serve(&c, &port);
    fd = login(port);
    SEND(fd, many);
    for (size_t n = 0; n < sizeof(got);) {
        ssize_t more = read(fd, got + n, sizeof(got) - n);

        assert_true(more > 0);
        n += (size_t)more;
    }
    assert_memory_equal(got, "\2\11\12\177\377\377\377\377\377\377\377", 11);
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(c.failed, 0);
}

/* A message comes while a frame is half read, and may change the state. */
static void test_messages(void **state)
{
    struct counts c;
    struct ld_gateway *g;
    int port, fd;

    (void)state;
    g = serve(&c, &port);
    fd = login(port);
    SEND(fd, "\1\0\0");
    ld_gateway_publish(g, "news/a", "x", 1);
    assert_true(host_asks(fd, "", "news/ax"));
    SEND(fd, "\0\1\0\0");
    assert_true(host_asks(fd, "", "a: 1 =  of 3\n"));
    ld_gateway_publish(g, "news/b", "text", 4);
    assert_true(host_asks(fd, "", "news/btexttext\n"));
    ld_gateway_publish(g, "news/c", "end", 3);
    assert_true(host_asks(fd, "", "news/cend"));
    assert_true(host_ended(fd));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(c.closed, 1);
}

/* What fails is told by its code, and ends that connection alone. */
static void fails(const char *bytes, size_t n, bool leaves, const char *code,
                  const char *why)
{
    struct counts c;
    struct ld_gateway *g;
    int port, fd;

    g = serve(&c, &port);
    fd = host_connect(port);
    assert_true(send_bytes(fd, bytes, n));
    if (leaves)
        shutdown(fd, 1);
    while (!host_ended(fd))
        ;
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.closed, 1);
    assert_string_equal(c.code, code);
    assert_non_null(strstr(c.why, why));
}

static void test_errors(void **state)
{
    (void)state;
    fails("\31aaaaaaaaaaaaaaaaaaaaaaaaa", 26, false, "fail",
          "the name is too long");
    fails("\1", 1, true, "truncated", "");
    fails("", 0, false, "timeout", "");
    fails("\1a\11\0\0\0\0\0\0", 9, false, "error", "returned 99");
}

/* A state that reads nothing, for ever, is stopped by the watchdog, though
 * there are bytes to be read. */
static int on_nothing(struct ld_session *s, const struct ld_frame *f)
{
    (void)s;
    (void)f;
    return 1;
}

static void test_nothing(void **state)
{
    static const struct ld_state empty[] = {{"byte", "B", 0, 0, on_nothing},
                                            {"empty", "", 0, 0, on_nothing}};
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct counts c = {0};
    struct ld_handler h = {LD_HANDLER, .states = empty, .state_count = 2,
                           .ctx = &c, .on_error = on_error};
    int fd;

    (void)state;
    assert_int_equal(ld_gateway_set_watchdog(g), 0);
    assert_int_equal(ld_gateway_add_handler(g, "empty", &h), 0);
    fd = host_connect(host_load(g, "'empty'"));
    assert_int_equal(ld_gateway_start(g), 0);
    SEND(fd, "abc");
    assert_true(host_ended(fd));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
    assert_string_equal(c.code, "limit");
}

/* A frame without values has its bytes. */
static int on_pads(struct ld_session *s, const struct ld_frame *f)
{
    size_t n;
    const void *p = ld_frame_raw(f, &n);

    assert_int_equal(ld_frame_count(f), 0);
    ld_session_write(s, p, n);
    return LD_STATE_END;
}

static void test_no_values(void **state)
{
    static const struct ld_state pads[] = {{"pads", "_:B x", 0, 0, on_pads}};
    struct ld_gateway *g = host_gateway(NULL, NULL);
    struct ld_handler h = {LD_HANDLER, .states = pads, .state_count = 1};
    int fd;

    (void)state;
    assert_int_equal(ld_gateway_add_handler(g, "pads", &h), 0);
    fd = host_connect(host_load(g, "'pads'"));
    assert_int_equal(ld_gateway_start(g), 0);
    assert_true(host_asks(fd, "ab", "ab"));
    close(fd);
    assert_int_equal(ld_gateway_free(g), 0);
}

/* Those that live when all ends are closed, too. */
static void test_end(void **state)
{
    struct counts c;
    struct ld_gateway *g;
    int port, fds[3];

    (void)state;
    g = serve(&c, &port);
    for (int i = 0; i < 3; i++) {
        fds[i] = login(port);
    }
    assert_int_equal(ld_gateway_reload(g), 0);
    SEND(fds[1], "\1\0\0\0\1\0\0");
    assert_true(host_asks(fds[1], "", "a: 1 =  of 3\n"));
    assert_int_equal(ld_gateway_free(g), 0);
    assert_int_equal(c.closed, 3);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

/* What is wrong with a handler is said when it is added. */
static void refuses(const struct ld_handler *h, const char *name,
                    const char *why)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);

    assert_int_equal(ld_gateway_add_handler(g, name, h), LD_ERR_ARGUMENT);
    assert_non_null(strstr(ld_error_text(), why));
    assert_int_equal(ld_gateway_free(g), 0);
}

/* A name is a handler or a script, not both. */
static void refuses_twice(const struct ld_handler *h)
{
    struct ld_gateway *g = host_gateway(NULL, NULL);

    assert_int_equal(ld_gateway_add_handler(g, "c", h), 0);
    assert_int_equal(ld_gateway_add_script(g, "c", "return {}"),
                     LD_ERR_ARGUMENT);
    assert_int_equal(ld_gateway_add_script(g, "lua", "return {}"), 0);
    assert_int_equal(ld_gateway_add_handler(g, "lua", h), LD_ERR_ARGUMENT);
    assert_int_equal(ld_gateway_free(g), 0);
}

static void test_refused(void **state)
{
    struct ld_state one[] = {{"a", "B", 0, 0, on_text}};
    struct ld_state twice[] = {{"a", "B", 0, 0, on_text},
                               {"a", "B", 0, 0, on_text}};
    struct ld_state wrong[] = {{"a", "B %9", 0, 0, on_text}};
    struct ld_state idle[] = {{"a", "B", 0, 0, NULL}};
    struct ld_handler h = {LD_HANDLER, .states = one, .state_count = 1};

    (void)state;
    refuses(NULL, "x", "NULL");
    refuses(&h, NULL, "name");
    refuses(&h, "", "name");
    refuses_twice(&h);
    h.size = 0;
    refuses(&h, "x", "LD_HANDLER");
    h.size = sizeof(h);
    h.state_count = 0;
    refuses(&h, "x", "1 to 1000 states");
    h.state_count = 2;
    h.states = twice;
    refuses(&h, "x", "two states are called 'a'");
    h.state_count = 1;
    h.states = wrong;
    refuses(&h, "x", "column 3");
    h.states = idle;
    refuses(&h, "x", "function");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),   cmocka_unit_test(test_groups),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_end),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nothing),  cmocka_unit_test(test_no_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
