/* ld.c -- the names of the statuses; they are the `code` of Lua errors. */
#include "ld.h"

static const char *const names[LD_STATUS_COUNT] = {
    [LD_OK] = "ok",
    [LD_AGAIN] = "again",
    [LD_EOF] = "eof",
    [LD_TRUNCATED] = "truncated",
    [LD_TIMEOUT] = "timeout",
    [LD_RESET] = "reset",
    [LD_LIMIT] = "limit",
    [LD_MISMATCH] = "mismatch",
    [LD_RANGE] = "range",
    [LD_VARINT] = "varint",
    [LD_STALE] = "stale",
    [LD_BUSY] = "busy",
    [LD_HOOK] = "hook",
    [LD_CLOSED] = "closed",
    [LD_MOVED] = "moved",
    [LD_REFUSED] = "refused",
    [LD_UNREACHABLE] = "unreachable",
    [LD_DNS] = "dns",
    [LD_TLS] = "tls",
    [LD_PROTOCOL] = "protocol",
    [LD_FAIL] = "fail",
    [LD_ERROR] = "error",
    [LD_NOMEM] = "nomem",
};

const char *ld_strstatus(enum ld_status st)
{
    if ((unsigned)st >= LD_STATUS_COUNT)
        return "unknown";
    return names[st];
}
