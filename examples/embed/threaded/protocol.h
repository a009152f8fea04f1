/* protocol.h -- how the readings are asked for: a handler in C.
 *
 *   login     'MTR' version:u8 token:s1{64}    answered by status:u8, 0 is yes
 *   request   kind:u8 name:s1{32}              1 watch: all there is from now
 *                                              on; the name + is any
 *                                              2 get: the last one
 *                                              3 leave
 *   reading   1 name:s1 value:f64              big-endian
 *   none      2 name:s1                        to a get: there is none
 *   goodbye   3 reason:s1                      before a client is put out
 *
 *   login --> request --> request ...          until the client ends its side
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <linedancer.h>

#include "readings.h"

struct meter {
    const char *token; /* what a login must know */
    struct readings readings;
    size_t clients; /* that have logged in */
};

/* `handler = "meter"` of G's config is this protocol, about METER, which
 * belongs to G's thread while G serves. */
int protocol_add(struct ld_gateway *g, struct meter *meter);

#endif
