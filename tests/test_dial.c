/* test_dial.c -- outgoing connections to addresses: what is reached, how each
 * failure is told, and that giving up at any point leaves nothing behind. */
#include "support_dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char path[64];

static int listen_unix(int backlog)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(path, sizeof(path), "/tmp/linedancer-dial-%d.sock", getpid());
    unlink(path);
    strcpy(sa.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void close_unix(int fd)
{
    unlink(path);
    close(fd);
}

static int option(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void reaches_an_address_of_either_family(void **state)
{
    const char *const hosts[] = {"127.0.0.1", "::1"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct ld_dial_target to = {.host = hosts[i], .timeout = 5};
        int fd = listen_at(hosts[i], &to.port, 1);
        struct outcome o;

        if (fd < 0)
            continue; /* there is no IPv6 here */
        dial_run(&o, &to);
        assert_true(fcntl(o.fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(o.fd, F_GETFD) & FD_CLOEXEC);
        assert_true(option(o.fd, IPPROTO_TCP, TCP_NODELAY));
        assert_true(option(o.fd, SOL_SOCKET, SO_KEEPALIVE));
        assert_reached(&o, hosts[i], to.port);
        close(fd);
    }
}

static void reaches_a_unix_socket(void **state)
{
    int fd = listen_unix(1);
    struct ld_dial_target to = {.path = path, .timeout = 5};
    struct outcome o;

    (void)state;
    dial_run(&o, &to); /* which also sees that it is not done at once */
    assert_int_equal(o.st, LD_OK);
    close(o.fd);
    close_unix(fd);
}

static void a_full_unix_socket_is_tried_again(void **state)
{
    int fd = listen_unix(0);
    struct ld_dial_target to = {.path = path, .timeout = 5};
    struct outcome first, second;

    (void)state;
    dial_run(&first, &to);
    dial_begin(&second, &to);
    dial_pass(0.05);
    assert_int_equal(second.calls, 0);
    close(accept(fd, NULL, NULL));
    dial_await(&second);
    assert_int_equal(second.st, LD_OK);
    to.timeout = 0.05;
    close(second.fd);
    dial_run(&second, &to);
    assert_failed(&second, LD_TIMEOUT, path);
    close(first.fd);
    close_unix(fd);
}

static void says_that_nobody_listens(void **state)
{
    struct ld_dial_target to = {.host = "127.0.0.1", .timeout = 5};
    struct ld_dial_target unix_to = {.path = "/tmp/no/such.sock", .timeout = 5};
    char label[64];
    struct outcome o;

    (void)state;
    close(listen_at("127.0.0.1", &to.port, 1));
    snprintf(label, sizeof(label), "127.0.0.1:%u: Connection refused", to.port);
    dial_run(&o, &to);
    assert_failed(&o, LD_REFUSED, label);
    dial_run(&o, &unix_to);
    assert_failed(&o, LD_REFUSED, "unix:/tmp/no/such.sock: No such file");
}

static void gives_up_at_its_time(void **state)
{
    struct ld_dial_target to = {.host = "127.0.0.1", .timeout = 0.05};
    int witnesses[WITNESSES], fd = black_hole(to.host, &to.port, witnesses);
    struct outcome o;

    (void)state;
    dial_run(&o, &to);
    assert_failed(&o, LD_TIMEOUT, "no connection within 0.05 s");
    for (int i = 0; i < WITNESSES; i++)
        close(witnesses[i]);
    close(fd);
}

static void says_that_no_descriptor_is_free(void **state)
{
    struct ld_dial_target to = {.host = "127.0.0.1", .port = 9, .timeout = 5};
    struct rlimit before, none;
    struct outcome o;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    ev_run(dial_rig.loop, EVRUN_NOWAIT); /* it has its descriptors */
    setrlimit(RLIMIT_NOFILE, &none);
    dial_begin(&o, &to);
    setrlimit(RLIMIT_NOFILE, &before);
    dial_await(&o);
    assert_failed(&o, LD_LIMIT, "Too many open files");
}

static void comes_from_where_it_is_told(void **state)
{
    struct ld_dial_target to = {
        .host = "127.0.0.1", .source = "127.0.0.5", .timeout = 5};
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    int fd = listen_at(to.host, &to.port, 1), accepted;
    uint16_t port = 0;
    struct outcome o;

    (void)state;
    close(listen_at(to.source, &port, 1)); /* a free one */
    for (int i = 0; i < 2; i++, to.source_port = port) {
        dial_run(&o, &to);
        accepted = accept(fd, (struct sockaddr *)&from, &len);
        assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f000005);
        if (i == 1)
            assert_int_equal(ntohs(from.sin_port), port);
        assert_reached(&o, to.host, to.port);
        close(accepted);
    }
    close(fd);
}

static void says_why_it_cannot_come_from_there(void **state)
{
    struct ld_dial_target to = {.host = "127.0.0.1", .port = 9, .timeout = 5};
    struct outcome o;

    (void)state;
    to.source = "192.0.2.1"; /* for documentation: nobody's */
    dial_run(&o, &to);
    assert_failed(&o, LD_ERROR, "cannot come from 192.0.2.1");
    to.source = "::1";
    dial_run(&o, &to);
    assert_failed(&o, LD_ERROR, "of the other family");
    to.source = "localhost";
    assert_null(ld_dial_start(dial_rig.dialer, &to, NULL, NULL));
    assert_int_equal(errno, EINVAL);
    to.source = NULL;
    to.device = "nosuchdevice0";
    dial_run(&o, &to);
    assert_failed(&o, LD_ERROR, "cannot use interface 'nosuchdevice0'");
    to.device = "a-name-that-no-device-has";
    assert_null(ld_dial_start(dial_rig.dialer, &to, NULL, NULL));
    assert_int_equal(errno, EINVAL);
}

static void uses_the_interface_it_is_told(void **state)
{
    struct ld_dial_target to = {
        .host = "127.0.0.1", .device = "lo", .timeout = 5};
    int fd = listen_at(to.host, &to.port, 1);
    struct outcome o;

    (void)state;
    dial_run(&o, &to);
    assert_reached(&o, to.host, to.port);
    close(fd);
}

/* A socket bound to the port that it connects to meets itself. */
static void does_not_take_itself_for_a_server(void **state)
{
    struct ld_dial_target to = {
        .host = "127.0.0.1", .source = "127.0.0.1", .timeout = 5};
    struct outcome o;

    (void)state;
    close(listen_at(to.host, &to.port, 1));
    to.source_port = to.port;
    dial_run(&o, &to);
    assert_failed(&o, LD_REFUSED, "refused");
}

static void can_be_given_up_at_any_point(void **state)
{
    int fd = listen_unix(16), witnesses[WITNESSES], hole;
    struct ld_dial_target near = {.path = path, .timeout = 5};
    struct ld_dial_target far = {.host = "127.0.0.1", .timeout = 5};
    struct outcome o;

    (void)state;
    hole = black_hole(far.host, &far.port, witnesses);
    ld_dial_cancel(dial_begin(&o, &near)); /* connected, not yet told */
    dial_pass(0);
    ld_dial_cancel(dial_begin(&o, &far)); /* at once */
    for (int i = 0; i < 3; i++) {
        struct ld_dial *d = dial_begin(&o, &far);

        for (int j = 0; j < i; j++)
            ev_run(dial_rig.loop, EVRUN_NOWAIT);
        ld_dial_cancel(d);
    }
    dial_pass(0);
    assert_int_equal(o.calls, 0);
    dial_begin(&o, &far); /* and one that goes with its dialer */
    for (int i = 0; i < WITNESSES; i++)
        close(witnesses[i]);
    close(hole);
    close_unix(fd);
}

static void many_may_be_under_way_but_not_any_number(void **state)
{
    struct ld_dial_target to = {.path = "/tmp/no/such.sock", .timeout = 5};
    static struct outcome all[LD_DIALS_MAX];
    struct outcome *last = &all[LD_DIALS_MAX - 1];

    (void)state;
    for (int i = 0; i < LD_DIALS_MAX; i++)
        dial_begin(&all[i], &to);
    errno = 0;
    assert_null(ld_dial_start(dial_rig.dialer, &to, NULL, NULL));
    assert_int_equal(errno, EAGAIN);
    while (!last->calls)
        ev_run(dial_rig.loop, EVRUN_ONCE);
    assert_failed(last, LD_REFUSED, "No such file");
    dial_run(&all[0], &to); /* there is room again */
}

static struct outcome inner;

static void dials_again(void *ctx, enum ld_status st, int fd,
                        const char *message)
{
    (void)message;
    assert_int_equal(st, LD_OK);
    close(fd);
    dial_begin(&inner, ctx);
}

static void the_next_may_begin_when_one_is_done(void **state)
{
    struct ld_dial_target to = {.host = "127.0.0.1", .timeout = 5};
    int fd = listen_at(to.host, &to.port, 2);

    (void)state;
    assert_non_null(ld_dial_start(dial_rig.dialer, &to, dials_again, &to));
    dial_await(&inner);
    assert_reached(&inner, to.host, to.port);
    close(fd);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, dial_set_up, dial_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reaches_an_address_of_either_family),
        TEST(reaches_a_unix_socket),
        TEST(a_full_unix_socket_is_tried_again),
        TEST(says_that_nobody_listens),
        TEST(gives_up_at_its_time),
        TEST(says_that_no_descriptor_is_free),
        TEST(comes_from_where_it_is_told),
        TEST(says_why_it_cannot_come_from_there),
        TEST(uses_the_interface_it_is_told),
        TEST(does_not_take_itself_for_a_server),
        TEST(can_be_given_up_at_any_point),
        TEST(many_may_be_under_way_but_not_any_number),
        TEST(the_next_may_begin_when_one_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
