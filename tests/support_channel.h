/* support_channel.h -- channels of the rig, and peers that follow them. */
#ifndef LD_TESTS_SUPPORT_CHANNEL_H
#define LD_TESTS_SUPPORT_CHANNEL_H

#include "channel.h"
#include "support_peer.h"

/* A channel of the rig. */
struct ld_channel *channel_new(uint32_t bytes, uint32_t items, double merge);

/* Publish TEXT, as an entry or as a mark, and set a preamble. */
void say(struct ld_channel *ch, const char *text);
void say_mark(struct ld_channel *ch, const char *text);
void greet(struct ld_channel *ch, const char *text);

/* A script: the peer says nothing, and its connection ends with it. */
bool listen_only(struct peer *p, enum ld_status st);

/* Open P, which follows CH. */
void listener_open(struct peer *p, struct ld_channel *ch, uint64_t lag,
                   enum ld_policy policy);

/* Let the pool of the rig settle, and SECONDS pass with its alarms. */
void settle(void);
void pass(double seconds);

#endif
