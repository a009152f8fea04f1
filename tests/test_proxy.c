/* test_proxy.c -- headers of the PROXY protocol, whole, in pieces and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <cmocka.h>

#include "network.h"
#include "proxy.h"
#include "support_address.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\1\2\3\4\5\6\7\x8\0\x50\1\xbb" /* 1.2.3.4:80 to 5.6.7.8:443 */

static const char *text_of(const struct sockaddr_storage *sa)
{
    static char text[INET6_ADDRSTRLEN + 8];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
    char host[INET6_ADDRSTRLEN];

    switch (sa->ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(text, sizeof(text), "%s:%u", host, ntohs(v4->sin_port));
        return text;
    case AF_INET6:
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(text, sizeof(text), "[%s]:%u", host, ntohs(v6->sin6_port));
        return text;
    case AF_UNIX: return ((const struct sockaddr_un *)sa)->sun_path;
    default: return "";
    }
}

/* The header of N bytes is known as such from its last byte on, whatever
 * follows it, and says this. */
static void expect(const uint8_t *p, size_t n, const char *source,
                   const char *destination)
{
    uint8_t *copy = malloc(n + 5);
    const char *why;
    struct ld_origin *o;

    for (size_t i = 0; i < n; i++) { /* a copy: an overrun would be seen */
        uint8_t *part = malloc(i);

        memcpy(part, p, i);
        assert_int_equal(ld_proxy_size(part, i), 0);
        free(part);
    }
    memcpy(copy, p, n);
    memset(copy + n, 'x', 5);
    assert_int_equal(ld_proxy_size(copy, n), (int)n);
    assert_int_equal(ld_proxy_size(copy, n + 5), (int)n);
    o = ld_proxy_read(p, n, &why);
    assert_non_null(o);
    assert_string_equal(text_of(&o->source), source);
    assert_string_equal(text_of(&o->destination), destination);
    free(o);
    free(copy);
}

/* Refused, at the latest when all of it is there. */
static void refuse(const uint8_t *p, size_t n)
{
    int size = ld_proxy_size(p, n);
    const char *why = NULL;

    if (size < 0)
        return;
    assert_int_equal(size, (int)n);
    assert_null(ld_proxy_read(p, n, &why));
    assert_non_null(why);
}

static void test_first_version(void **state)
{
    (void)state;
    expect(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n"), "1.2.3.4:80",
           "5.6.7.8:443");
    expect(BYTES("PROXY TCP6 ::1 fe80::2 65535 1\r\n"), "[::1]:65535",
           "[fe80::2]:1");
    expect(BYTES("PROXY UNKNOWN\r\n"), "", "");
    expect(BYTES("PROXY UNKNOWN ff:f::1 whatever 1 2\r\n"), "", "");
}

static void test_first_version_malformed(void **state)
{
    char line[200];

    (void)state;
    refuse(BYTES("GET / HTTP/1.1\r\n"));
    refuse(BYTES("PROXX TCP4 1.2.3.4 5.6.7.8 80 443\r\n"));
    refuse(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 80 443\n"));
    refuse(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 80 443 \r\n"));
    refuse(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 80 65536\r\n"));
    refuse(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 80 -1\r\n"));
    refuse(BYTES("PROXY TCP4 1.2.3 5.6.7.8 80 443\r\n"));
    refuse(BYTES("PROXY TCP4 ::1 ::1 80 443\r\n"));
    refuse(BYTES("PROXY TCP5 1.2.3.4 5.6.7.8 80 443\r\n"));
    refuse(BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 80\r\n"));
    refuse(BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 80 443\r\n"));
    refuse(BYTES("PROXY UNKNOWNX\r\n"));
    memset(line, ' ', sizeof(line));
    memcpy(line, "PROXY UNKNOWN", 13);
    assert_int_equal(ld_proxy_size((uint8_t *)line, LD_PROXY_LINE - 1), 0);
    assert_int_equal(ld_proxy_size((uint8_t *)line, LD_PROXY_LINE), -1);
}

static void test_second_version(void **state)
{
    static const char v6[] =
        SIGNATURE "\x21\x21\0\x24"
                  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\1\0\2";
    uint8_t local[16 + 216] = SIGNATURE "\x21\x31\0\xd8";

    (void)state;
    expect(BYTES(SIGNATURE "\x21\x11\0\xc" V4), "1.2.3.4:80", "5.6.7.8:443");
    expect(BYTES(v6), "[::1]:1", "[::2]:2");
    memcpy(local + 16, "/from", 6);
    memset(local + 16 + 108, 'x', 108); /* without an end */
    expect(local, sizeof(local), "/from",
           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    /* a proxy that speaks for itself, with anything behind it */
    expect(BYTES(SIGNATURE "\x20\x11\0\x3???"), "", "");
    expect(BYTES(SIGNATURE "\x20\0\0\0"), "", "");
    expect(BYTES(SIGNATURE "\x21\0\0\x2??"), "", "");
}

static void test_second_version_fields(void **state)
{
    static const char text[] = SIGNATURE "\x21\x11\0\x11" V4 "\2\0\2hi";
    const char *why;
    struct ld_origin *o;

    (void)state;
    expect(BYTES(text), "1.2.3.4:80", "5.6.7.8:443");
    o = ld_proxy_read(BYTES(text), &why);
    assert_int_equal(o->size, 5);
    assert_memory_equal(o->fields, "\2\0\2hi", 5);
    free(o);
    refuse(BYTES(SIGNATURE "\x21\x11\0\x11" V4 "\2\0\3hi"));
    refuse(BYTES(SIGNATURE "\x21\x11\0\xe" V4 "\2\0"));
}

/* The checksum is that of RFC 3720 ("123456789": e3069283); this one was made
 * by another program. */
static void test_checksum(void **state)
{
    uint8_t text[] = SIGNATURE "\x21\x11\0\x13" V4 "\3\0\4????";
    uint32_t crc = UINT32_MAX;

    (void)state;
    memset(text + 31, 0, 4);
    for (size_t i = 0; i < 35; i++) {
        crc ^= text[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    crc = htonl(~crc);
    memcpy(text + 31, &crc, 4);
    expect(text, 35, "1.2.3.4:80", "5.6.7.8:443");
    text[20] ^= 1;
    refuse(text, 35);
}

static void test_second_version_malformed(void **state)
{
    uint8_t large[16] = SIGNATURE "\x21\x11\xff\xff";

    (void)state;
    assert_int_equal(ld_proxy_size(large, 16), -1); /* without waiting for it */
    refuse(BYTES("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\xc" V4));
    refuse(BYTES(SIGNATURE "\x11\x11\0\xc" V4));
    refuse(BYTES(SIGNATURE "\x22\x11\0\xc" V4));
    refuse(BYTES(SIGNATURE "\x21\x12\0\xc" V4)); /* a datagram */
    refuse(BYTES(SIGNATURE "\x21\x41\0\xc" V4));
    refuse(BYTES(SIGNATURE "\x21\x21\0\xc" V4)); /* too short */
    refuse(BYTES(SIGNATURE "\x21\x31\0\xc" V4));
}

static bool in(const char *network, unsigned bits, const char *host)
{
    struct sockaddr_storage sa = address(network), of = address(host);
    struct ld_network n = {.bits = (uint8_t)bits};

    ld_network_host(&n.host, &sa);
    return ld_network_has(&n, 1, &of);
}

static void test_networks(void **state)
{
    (void)state;
    assert_true(in("10.0.0.0", 96 + 8, "10.9.8.7"));
    assert_false(in("10.0.0.0", 96 + 8, "11.0.0.0"));
    assert_true(in("10.0.0.16", 96 + 28, "10.0.0.31"));
    assert_false(in("10.0.0.16", 96 + 28, "10.0.0.32"));
    assert_true(in("1.2.3.4", 128, "1.2.3.4"));
    assert_true(in("1.2.3.4", 128, "::ffff:1.2.3.4")); /* on [::] */
    assert_false(in("1.2.3.4", 128, "::1.2.3.4"));
    assert_true(in("fe80::", 10, "fe80::1"));
    assert_false(in("fe80::", 10, "fec0::1"));
    assert_true(in("::", 0, "9.9.9.9"));
    assert_false(in("::", 0, "unix"));
    assert_true(in("::", LD_NETWORK_LOCAL, "unix"));
    assert_false(in("::", LD_NETWORK_LOCAL, "::"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_version),
        cmocka_unit_test(test_first_version_malformed),
        cmocka_unit_test(test_second_version),
        cmocka_unit_test(test_second_version_fields),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_second_version_malformed),
        cmocka_unit_test(test_networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
