/* proxy.c -- see proxy.h. */
#include "proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum {
    SIGNATURE = 12,
    FIXED = 16, /* bytes of version 2 before the addresses */
    UNIX_PATH = 108,
    CRC_TYPE = 3,
    CRC_SIZE = 4
};

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
static const char opening[] = "PROXY ";

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static uint32_t number(const uint8_t *p, int bytes)
{
    uint32_t n = 0;

    while (bytes-- > 0)
        n = n << 8 | *p++;
    return n;
}

static int line_size(const uint8_t *p, size_t n)
{
    const uint8_t *end = memchr(p, '\n', least(n, LD_PROXY_LINE));

    if (memcmp(p, opening, least(n, sizeof(opening) - 1)) != 0)
        return -1;
    if (end)
        return end > p && end[-1] == '\r' ? (int)(end - p) + 1 : -1;
    return n < LD_PROXY_LINE ? 0 : -1;
}

int ld_proxy_size(const uint8_t *p, size_t n)
{
    size_t size;

    if (n == 0)
        return 0;
    if (*p != (uint8_t)signature[0])
        return line_size(p, n);
    if (memcmp(p, signature, least(n, SIGNATURE)) != 0)
        return -1;
    if (n < FIXED)
        return 0;
    size = FIXED + number(p + 14, 2);
    if (size > LD_PROXY_MAX)
        return -1;
    return n >= size ? (int)size : 0;
}

static struct ld_origin *new_origin(uint8_t version, const uint8_t *fields,
                                    size_t size)
{
    struct ld_origin *o = calloc(1, sizeof(*o) + size);

    if (!o)
        return NULL;
    o->version = version;
    o->size = (uint16_t)size;
    if (size > 0)
        memcpy(o->fields, fields, size);
    return o;
}

static bool set_text(struct sockaddr_storage *sa, int family, const char *host,
                     unsigned port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;

    sa->ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        v4->sin_port = htons((uint16_t)port);
        return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
    }
    v6->sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

/* Version 1, without its end: "PROXY TCP4 source destination port port". */
static bool read_line(struct ld_origin *o, const char *line)
{
    char family, source[46], destination[46], rest;
    unsigned from, to;
    int af;

    if (strncmp(line, "PROXY UNKNOWN", 13) == 0)
        return line[13] == '\0' || line[13] == ' ';
    if (sscanf(line, "PROXY TCP%c %45[0-9a-fA-F.:] %45[0-9a-fA-F.:] %5u %5u%c",
               &family, source, destination, &from, &to, &rest) != 5)
        return false;
    if ((family != '4' && family != '6') || from > 65535 || to > 65535)
        return false;
    af = family == '4' ? AF_INET : AF_INET6;
    return set_text(&o->source, af, source, from) &&
           set_text(&o->destination, af, destination, to);
}

static struct ld_origin *read_first(const uint8_t *p, size_t n,
                                    const char **why)
{
    struct ld_origin *o = new_origin(1, NULL, 0);
    char line[LD_PROXY_LINE];

    if (!o)
        return NULL;
    memcpy(line, p, n - 2);
    line[n - 2] = '\0';
    if (memchr(line, '\0', n - 2) == NULL && read_line(o, line))
        return o;
    free(o);
    *why = "a malformed line of the PROXY protocol";
    return NULL;
}

/* CRC-32C, of the header with its own place zero. */
static uint32_t checksum(const uint8_t *p, size_t n, size_t hole)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= i >= hole && i < hole + CRC_SIZE ? 0 : p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

/* Do the fields from AT on fill the header, and is its checksum, if there is
 * one, right? */
static bool are_fields_good(const uint8_t *p, size_t at, size_t n)
{
    while (n - at >= 3) {
        size_t size = number(p + at + 1, 2);

        if (size > n - at - 3)
            return false;
        if (p[at] == CRC_TYPE &&
            (size != CRC_SIZE ||
             number(p + at + 3, CRC_SIZE) != checksum(p, n, at + 3)))
            return false;
        at += 3 + size;
    }
    return at == n;
}

/* Bytes of both addresses of FAMILY, as in the header. */
static size_t addresses_size(int family)
{
    return family == 1   ? 12
           : family == 2 ? 36
           : family == 3 ? 2 * UNIX_PATH
                         : 0;
}

static void read_v4(struct sockaddr_storage *sa, const uint8_t *host,
                    const uint8_t *port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa;

    v4->sin_family = AF_INET;
    memcpy(&v4->sin_addr, host, 4);
    memcpy(&v4->sin_port, port, 2);
}

static void read_v6(struct sockaddr_storage *sa, const uint8_t *host,
                    const uint8_t *port)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;

    v6->sin6_family = AF_INET6;
    memcpy(&v6->sin6_addr, host, 16);
    memcpy(&v6->sin6_port, port, 2);
}

static void read_path(struct sockaddr_storage *sa, const uint8_t *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)sa;

    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, UNIX_PATH);
    un->sun_path[UNIX_PATH - 1] = '\0';
}

static void read_addresses(struct ld_origin *o, int family, const uint8_t *p)
{
    if (family == 1) {
        read_v4(&o->source, p, p + 8);
        read_v4(&o->destination, p + 4, p + 10);
    } else if (family == 2) {
        read_v6(&o->source, p, p + 32);
        read_v6(&o->destination, p + 16, p + 34);
    } else if (family == 3) {
        read_path(&o->source, p);
        read_path(&o->destination, p + UNIX_PATH);
    }
}

static struct ld_origin *read_second(const uint8_t *p, size_t n,
                                     const char **why)
{
    unsigned command = p[12] & 15, family = p[13] >> 4, kind = p[13] & 15;
    size_t at = FIXED + addresses_size((int)family);
    struct ld_origin *o;

    *why = "a malformed header of the PROXY protocol";
    if (p[12] >> 4 != 2 || command > 1 || family > 3 || kind > 2)
        return NULL;
    if (command == 1 && family != 0 && kind != 1) {
        *why = "a PROXY header of something else than TCP";
        return NULL;
    }
    if (command == 0 || family == 0)
        at = n; /* whatever follows is to be ignored */
    if (at > n || !are_fields_good(p, at, n))
        return NULL;
    *why = NULL;
    o = new_origin(2, p + at, n - at);
    if (o && command == 1)
        read_addresses(o, (int)family, p + FIXED);
    return o;
}

struct ld_origin *ld_proxy_read(const uint8_t *p, size_t n, const char **why)
{
    *why = NULL;
    return *p == (uint8_t)signature[0] ? read_second(p, n, why)
                                       : read_first(p, n, why);
}
