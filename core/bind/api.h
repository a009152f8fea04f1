/* api.h -- the leaves: C functions that Lua calls through the FFI.
 *
 * LuaJIT reads these declarations too (ffi.cdef), after value.h: plain C, no
 * macros.  A leaf never touches a lua_State, never resumes, yields or calls
 * back; it only looks at, and queues work on, what a handle stands for.  Each
 * int result is an enum ld_status unless said otherwise.  No pointer reaches a
 * handler: connections, buffers and formats are numbers that are checked here.
 */
#ifndef LD_API_H
#define LD_API_H

#include <stddef.h>
#include <stdint.h>

#include "value.h"

struct ld_vm; /* one Lua state and its worker */

/* An arg of this kind is a slice of args[i].len bytes at refs[i]; the leaf that
 * takes the args finds its bytes. */
enum { LD_ARG_SLICE = 8 };

struct ld_slice_ref {
    double conn; /* a handle */
    uint32_t view, off;
};

struct ld_api {
    struct ld_vm *vm;
    struct ld_result *result;  /* what the last read produced */
    struct ld_arg *args;       /* 4096 args for the next pack or write */
    struct ld_slice_ref *refs; /* and as many slices for them */

    /* Reads; see conn.h. */
    int (*unpack)(struct ld_vm *, int64_t conn, uint32_t format,
                  uint32_t flags);
    int (*read)(struct ld_vm *, int64_t conn, uint32_t n, uint32_t flags);
    int (*some)(struct ld_vm *, int64_t conn, uint32_t max, uint32_t flags);
    int (*piece)(struct ld_vm *, int64_t conn, const char *delimiter,
                 uint32_t size, uint32_t flags);
    int (*skip)(struct ld_vm *, int64_t conn, double n);
    int (*fill)(struct ld_vm *, int64_t conn, int64_t buffer, double n);
    void (*notsent_lowat)(struct ld_vm *, int64_t conn, uint32_t bytes);
    void (*quick_ack)(struct ld_vm *, int64_t conn, int on);
    int (*relay)(struct ld_vm *, int64_t conn, int64_t to, double n);
    int (*pipe)(struct ld_vm *, int64_t conn, int64_t other);

    /* Writes.  To a connection that has ended they do nothing. */
    int (*write)(struct ld_vm *, int64_t conn, const char *p, size_t n);
    int (*write_args)(struct ld_vm *, int64_t conn, uint32_t count);
    int (*write_buffer)(struct ld_vm *, int64_t conn, int64_t buffer);
    int (*pack)(struct ld_vm *, int64_t conn, uint32_t format, uint32_t count);
    int (*flush)(struct ld_vm *, int64_t conn);
    int (*drained)(struct ld_vm *, int64_t conn);

    /* The machine. */
    int (*enter)(struct ld_vm *, int64_t conn, uint32_t state);
    int (*timeout)(struct ld_vm *, int64_t conn, uint32_t state, double idle,
                   double total);
    int (*shutdown)(struct ld_vm *, int64_t conn);
    int (*close)(struct ld_vm *, int64_t conn, int reset);
    double (*unsent)(struct ld_vm *, int64_t conn); /* bytes */
    double (*unread)(struct ld_vm *, int64_t conn); /* bytes */
    int (*alive)(struct ld_vm *, int64_t conn); /* 1, or 0 once it has ended */
    /* 1: what runs from now on is a hook and may not wait; 0: no more.
     * Returns what it was. */
    int (*hook)(struct ld_vm *, int on);
    double (*now)(struct ld_vm *); /* monotonic seconds */

    /* Have the connection's coroutine, if it is parked, go on. */
    void (*unpark)(struct ld_vm *, int64_t conn);
    /* It has news, as bits of LD_NEWS_. */
    void (*tell)(struct ld_vm *, int64_t conn, uint32_t news);
    /* Has it consumed input since its state was entered? */
    int (*consumed)(struct ld_vm *, int64_t conn);
    /* Its end is told to linedancer.machine, whatever the handler. */
    void (*entangle)(struct ld_vm *, int64_t conn);
    /* Open, whole, with nothing unread, unsent or awaited? */
    int (*is_quiet)(struct ld_vm *, int64_t conn);
    /* Handle of the connection whose coroutine or hook runs, or 0. */
    double (*running)(struct ld_vm *);
    /* The same, but 0 in a hook, which may not wait. */
    double (*may_wait)(struct ld_vm *);
    /* Drop the read of CONN that the running coroutine has recorded. */
    void (*forget)(struct ld_vm *, int64_t conn);

    /* Alarms: SECONDS from now -> id, or 0 when memory is out. */
    double (*alarm)(struct ld_vm *, double seconds);
    void (*alarm_cancel)(struct ld_vm *, double id);

    /* Bytes [off, off + len) of a connection's buffer as they were in VIEW:
     * into result->frame, or as args[i]. */
    int (*slice)(struct ld_vm *, int64_t conn, uint32_t view, uint32_t off,
                 uint32_t len);
    int (*slice_arg)(struct ld_vm *, uint32_t i, int64_t conn, uint32_t view,
                     uint32_t off, uint32_t len);

    /* Bytes as a table key, into result->frame and size; see leaf_key.c. */
    int (*key)(struct ld_vm *, const char *p, size_t n);
    int (*slice_key)(struct ld_vm *, int64_t conn, uint32_t view, uint32_t off,
                     uint32_t len);

    /* Buffers.  A handle, or 0 when memory is out. */
    double (*buffer_new)(struct ld_vm *, double max);
    void (*buffer_free)(struct ld_vm *, double buffer);
    int (*buffer_write)(struct ld_vm *, int64_t buffer, const char *p,
                        size_t n);
    int (*buffer_put)(struct ld_vm *, int64_t buffer, int64_t from, double off,
                      double len);
    int (*buffer_put_args)(struct ld_vm *, int64_t buffer, uint32_t count);
    int (*buffer_pack)(struct ld_vm *, int64_t buffer, uint32_t format,
                       uint32_t count);
    int (*buffer_seal)(struct ld_vm *, int64_t buffer);
    int (*buffer_clear)(struct ld_vm *, int64_t buffer);
    double (*buffer_size)(struct ld_vm *, int64_t buffer); /* -1: freed */
    int (*buffer_arg)(struct ld_vm *, uint32_t i, int64_t buffer);
    /* All bytes in one place: result->frame, result->size. */
    int (*buffer_bytes)(struct ld_vm *, int64_t buffer);

    /* Formats. */
    int (*unpack_bytes)(struct ld_vm *, uint32_t format, const uint8_t *p,
                        size_t n);
    /* Into result->frame, result->size. */
    int (*pack_bytes)(struct ld_vm *, uint32_t format, uint32_t count);
    void (*format_free)(struct ld_vm *, double format);
};

#endif
