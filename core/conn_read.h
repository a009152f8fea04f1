/* conn_read.h -- what the files that read a connection share. */
#ifndef LD_CONN_READ_H
#define LD_CONN_READ_H

#include "conn_parts.h"

static inline const uint8_t *ld_conn_input(const struct ld_conn *c)
{
    return (c->in ? c->in : c->pool->read_blob)->data + c->pos;
}

static inline void ld_conn_produce(struct ld_conn *c, uint32_t size)
{
    struct ld_result *r = c->pool->result;

    r->frame = (c->in ? c->in : c->pool->read_blob)->data + c->pos;
    r->base = c->pos;
    r->size = size;
    r->view = c->view;
    if (!(c->flags & LD_KEEP)) {
        c->pos += size;
        c->consumed = true;
    }
}

static inline void ld_conn_produce_bytes(struct ld_conn *c, uint32_t size)
{
    union ld_value *v = c->pool->result->values;

    v[0].s.off = 0;
    v[0].s.len = size;
    ld_conn_produce(c, size);
}

/* C->await, from the spares if need be; NULL when out of memory. */
struct ld_await *ld_conn_take_await(struct ld_conn *c);

/* The same for a new wait of any size: N bytes to go, nothing parsed. */
struct ld_await *ld_conn_fresh_await(struct ld_conn *c, uint64_t n);

/* May a read of C begin?  LD_OK, or why not. */
enum ld_status ld_conn_admit(struct ld_conn *c);

/* No more bytes will come, and AVAIL of the frame did. */
enum ld_status ld_conn_ended(struct ld_conn *c, size_t avail);

/* Begin a wait of KIND for NEED bytes, and try it once. */
enum ld_status ld_conn_begin_wait(struct ld_conn *c, enum ld_wait kind,
                                  uint32_t need, unsigned flags);

enum ld_status ld_conn_try_piece(struct ld_conn *c);
enum ld_status ld_conn_try_skip(struct ld_conn *c);
enum ld_status ld_conn_try_fill(struct ld_conn *c);
enum ld_status ld_conn_try_relay(struct ld_conn *c);
enum ld_status ld_conn_try_pipe(struct ld_conn *c);
bool ld_conn_may_splice(const struct ld_conn *c);
enum ld_status ld_conn_splice(struct ld_conn *c);
void ld_conn_moved(struct ld_conn *c, uint64_t n);

/* C, whose wait was a relay or a pipe, has none any more: nor does its other
 * end. */
void ld_conn_unpipe(struct ld_conn *c);

#endif
