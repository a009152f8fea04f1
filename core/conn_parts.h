/* conn_parts.h -- what the files of conn.c and channel.c know of each other. */
#ifndef LD_CONN_PARTS_H
#define LD_CONN_PARTS_H

#include "conn.h"

/* Has the kernel yet to take any output, be it kept by C or by its transport?
 */
static inline bool ld_conn_has_output(const struct ld_conn *c)
{
    return c->out || (c->blocked && c->link.transport->flush);
}

enum ld_status ld_conn_try_wait(struct ld_conn *c);
enum ld_status ld_conn_write_out(struct ld_conn *c);
void ld_conn_end_ready(struct ld_conn *c, int events);
void ld_conn_end_timeout(struct ld_conn *c);
enum ld_status ld_conn_depend(struct ld_conn *c, int64_t handle, bool parked);
void ld_conn_tell_dependents(struct ld_conn *c);
void ld_conn_drop_wait(struct ld_conn *c);
void ld_conn_tell_reader(struct ld_conn *c);
bool ld_conn_is_read(struct ld_conn *c);
void ld_conn_queue(struct ld_conn *c);
void ld_conn_settle(struct ld_conn *c);
void ld_conn_watch(struct ld_conn *c);
void ld_conn_run(struct ld_conn *c, enum ld_status st);
bool ld_conn_attend(struct ld_conn *c);
void ld_conn_leave_family(struct ld_conn *c);
void ld_conn_deadline(struct ld_timer *t, double now);
bool ld_conn_wants_input(const struct ld_conn *c);
void ld_conn_charge(struct ld_conn *c, uint64_t n);
void ld_conn_unmeter(struct ld_conn *c);
void ld_conn_arm(struct ld_conn *c);
void ld_conn_stalled(struct ld_conn *c);
enum ld_status ld_conn_stow(struct ld_conn *c);
enum ld_status ld_conn_prepare_input(struct ld_conn *c);
bool ld_conn_receives_past(struct ld_conn *c);
enum ld_status ld_conn_receive_past(struct ld_conn *c);

#endif
