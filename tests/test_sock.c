/* test_sock.c -- what the kernel says becomes a status, and never a signal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "transport.h"

static const struct ld_transport *const t = &ld_sock;

/* Two ends of a TCP connection; the first does not block. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&at, &len);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&at, sizeof(at)), 0);
    fds[0] = accept(listener, NULL, NULL);
    assert_true(fds[0] >= 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    close(listener);
}

static void await(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    assert_int_equal(poll(&p, 1, 10000), 1);
}

static void bytes_pass_both_ways_until_the_peers_end(void **state)
{
    struct iovec iov[2] = {{"ab", 2}, {"cd", 2}};
    char bytes[8];
    size_t n = 0;
    int fds[2];
    struct ld_link l = {.transport = t};

    (void)state;
    tcp_pair(fds);
    l.fd = fds[0];
    assert_int_equal(t->read(&l, bytes, 8, &n), LD_AGAIN);
    assert_int_equal(t->writev(&l, iov, 2, &n), LD_OK);
    assert_int_equal(n, 4);
    assert_int_equal(t->writev(&l, iov, 1, &n), LD_OK);
    assert_int_equal(n, 2);
    assert_int_equal(t->shutdown(&l), LD_OK);
    assert_int_equal(recv(fds[1], bytes, 8, MSG_WAITALL), 6);
    assert_memory_equal(bytes, "abcdab", 6);
    assert_int_equal(send(fds[1], "xyz", 3, 0), 3);
    await(fds[0], POLLIN);
    assert_true(t->pending(&l));
    assert_int_equal(t->read(&l, bytes, 8, &n), LD_OK);
    assert_int_equal(n, 3);
    assert_false(t->pending(&l));
    close(fds[1]);
    await(fds[0], POLLIN);
    assert_int_equal(t->read(&l, bytes, 8, &n), LD_EOF);
    t->close(&l, false);
    assert_int_equal(l.fd, -1);
}

static void a_peer_that_takes_nothing_more_means_again(void **state)
{
    static char much[1 << 20];
    struct iovec iov = {much, sizeof(much)};
    enum ld_status st = LD_OK;
    size_t n = 0;
    int fds[2];
    struct ld_link l = {.transport = t};

    (void)state;
    tcp_pair(fds);
    l.fd = fds[0];
    for (int i = 0; i < 1000 && st == LD_OK; i++)
        st = t->writev(&l, &iov, 1, &n);
    assert_int_equal(st, LD_AGAIN);
    close(fds[1]);
    t->close(&l, false);
}

static void
writing_to_a_peer_that_has_gone_is_a_reset_and_no_signal(void **state)
{
    struct iovec iov = {"ab", 2};
    enum ld_status st = LD_OK;
    char byte;
    size_t n = 0;
    int fds[2];
    struct ld_link l = {.transport = t};

    (void)state;
    assert_ptr_not_equal(signal(SIGPIPE, SIG_DFL), SIG_ERR);
    tcp_pair(fds);
    l.fd = fds[0];
    close(fds[1]);
    await(fds[0], POLLIN);
    assert_int_equal(t->read(&l, &byte, 1, &n), LD_EOF);
    assert_int_equal(t->writev(&l, &iov, 1, &n), LD_OK); /* it cannot know */
    await(fds[0], POLLHUP);
    for (int i = 0; i < 3 && st != LD_RESET; i++)
        st = t->writev(&l, &iov, 1, &n); /* reset, then broken pipe */
    assert_int_equal(st, LD_RESET);
    assert_int_equal(t->writev(&l, &iov, 1, &n), LD_RESET);
    t->close(&l, false);
}

static void a_close_by_reset_tells_the_peer(void **state)
{
    char byte;
    int fds[2];
    struct ld_link l = {.transport = t};

    (void)state;
    tcp_pair(fds);
    l.fd = fds[0];
    t->close(&l, true);
    await(fds[1], POLLIN);
    assert_int_equal(recv(fds[1], &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fds[1]);
    tcp_pair(fds);
    l.fd = fds[0];
    t->close(&l, false);
    assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
    close(fds[1]);
}

static void a_reset_by_the_peer_is_told_from_its_end(void **state)
{
    struct linger now = {.l_onoff = 1};
    char byte;
    size_t n = 0;
    int fds[2];
    struct ld_link l = {.transport = t};

    (void)state;
    tcp_pair(fds);
    l.fd = fds[0];
    setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fds[1]);
    await(fds[0], POLLIN);
    assert_int_equal(t->read(&l, &byte, 1, &n), LD_RESET);
    t->close(&l, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways_until_the_peers_end),
        cmocka_unit_test(a_peer_that_takes_nothing_more_means_again),
        cmocka_unit_test(
            writing_to_a_peer_that_has_gone_is_a_reset_and_no_signal),
        cmocka_unit_test(a_close_by_reset_tells_the_peer),
        cmocka_unit_test(a_reset_by_the_peer_is_told_from_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
