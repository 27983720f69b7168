/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/endpoint.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static void put_port(struct text *text, uint16_t network_order)
{
    text_byte(text, ':');
    text_number(text, (uint16_t)(network_order >> 8 | network_order << 8));
}

static void put_quad(struct text *text, const uint8_t bytes[4])
{
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            text_byte(text, '.');
        text_number(text, bytes[i]);
    }
}

static void put_inet(struct text *text, const struct sockaddr_in *inet)
{
    put_quad(text, (const uint8_t *)&inet->sin_addr);
    put_port(text, inet->sin_port);
}

/* The longest run of at least two zero groups, which RFC 5952 writes as "::". */
static void longest_zeros(const uint16_t groups[8], unsigned *ret_begin, unsigned *ret_length)
{
    *ret_begin = *ret_length = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned length = 0;
        while (i + length < 8 && groups[i + length] == 0)
            length++;
        if (length > *ret_length && length > 1) {
            *ret_begin = i;
            *ret_length = length;
        }
    }
}

static void put_groups(struct text *text, const uint8_t bytes[16])
{
    uint16_t groups[8];
    unsigned begin, length;
    for (unsigned i = 0; i < 8; i++)
        groups[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    longest_zeros(groups, &begin, &length);
    for (unsigned i = 0; i < 8; i++) {
        if (length > 0 && i == begin) {
            text_string(text, "::");
            i += length - 1;
            continue;
        }
        if (i > 0 && !(length > 0 && i == begin + length))
            text_byte(text, ':');
        text_hex(text, groups[i]);
    }
}

/* An IPv4 address in one of IPv6 is written as such, as inet_ntop() does. */
static void put_inet6(struct text *text, const struct sockaddr_in6 *inet6)
{
    const uint8_t *bytes = inet6->sin6_addr.s6_addr;
    text_byte(text, '[');
    if (IN6_IS_ADDR_V4MAPPED(&inet6->sin6_addr)) {
        text_string(text, "::ffff:");
        put_quad(text, bytes + 12);
    } else {
        put_groups(text, bytes);
    }
    text_byte(text, ']');
    put_port(text, inet6->sin6_port);
}

static void put_unix(struct text *text, const struct sockaddr_un *local, uint32_t length)
{
    uint32_t offset = (uint32_t)__builtin_offsetof(struct sockaddr_un, sun_path);
    uint32_t size = length > offset ? length - offset : 0;
    text_string(text, "unix:");
    bool abstract = size > 0 && local->sun_path[0] == 0;
    if (abstract)
        text_byte(text, '@');
    for (uint32_t i = abstract; i < size && i < sizeof(local->sun_path); i++) {
        char c = local->sun_path[i];
        if (c == 0 && !abstract)
            break;
        text_byte(text, c < ' ' || c == 127 ? '?' : c);
    }
}

bool endpoint_text(const void *address, uint32_t length, struct text *text)
{
    const struct sockaddr *any = address;
    if (length < sizeof(any->sa_family))
        return false;
    if (any->sa_family == AF_INET && length >= sizeof(struct sockaddr_in))
        put_inet(text, address);
    else if (any->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6))
        put_inet6(text, address);
    else if (any->sa_family == AF_UNIX)
        put_unix(text, address, length);
    else
        return false;
    return true;
}
