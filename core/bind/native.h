/* native.h -- handlers in C, inside the core; see ../linedancer.h. */
#ifndef LD_NATIVE_H
#define LD_NATIVE_H

#include "gateway_parts.h"

enum { LD_NATIVE_PACKS = 32 /* formats for output that are kept */ };

struct ld_native_state {
    char *name;
    char *source;             /* of the format; NULL: it awaits nothing */
    struct ld_format *format; /* the same; NULL */
    const struct ld_field *fields;
    uint32_t field_count;
    uint32_t index; /* of the machine's states */
    double idle, total;
    int (*run)(struct ld_session *s, const struct ld_frame *frame);
};

/* A format that frames are packed by. */
struct ld_native_pack {
    char *source;
    struct ld_format *format;
};

struct ld_native {
    struct ld_native *next;
    struct ld_gateway *gateway;
    char *name;
    struct ld_native_state *states;
    size_t state_count;
    void *ctx;
    int (*on_message)(struct ld_session *s, const char *topic,
                      const void *message, size_t size);
    int (*on_error)(struct ld_session *s, const char *code, const char *text);
    void (*on_close)(struct ld_session *s);
    struct ld_native_pack packs[LD_NATIVE_PACKS];
    size_t pack_count, pack_next;
};

struct ld_session {
    struct ld_native *native;
    struct ld_conn *conn;
    lua_State *L;     /* that calls */
    lua_State *outer; /* what the core used before */
    char reason[256];
};

struct ld_frame {
    const struct ld_result *result;
    bool whole; /* there is one */
    uint32_t count;
    uint8_t kinds[LD_FORMAT_VALUES]; /* enum ld_field_kind, of each value */
};

/* What the last read produced, of a frame of state ST. */
void ld_native_look(struct ld_frame *f, const struct ld_native_state *st,
                    const struct ld_result *r);

/* N's compiled FORMAT; NULL, and refused, when it is none. */
const struct ld_format *ld_native_format(struct ld_native *n,
                                         const char *format);

/* The conn with handle H has closed. */
void ld_native_closed(struct ld_vm *vm, struct ld_conn *c);

#endif
