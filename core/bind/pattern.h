/* pattern.h -- Lua's patterns, matched in bounded time and stack.
 *
 * After the Lua 5.1 manual, 5.4.1, with %f as in 5.2.  A pattern such as
 * ".-.-.-.-x" takes time beyond all measure in the library's own functions,
 * where nothing can stop it; here it fails.
 */
#ifndef LD_PATTERN_H
#define LD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum {
    LD_CAPTURES_MAX = 32,
    LD_PATTERN_DEPTH = 200 /* choices that are open at a time */
};

struct ld_capture {
    const char *at;
    ptrdiff_t size; /* below 0: LD_CAPTURE_ */
};

enum { LD_CAPTURE_OPEN = -1, LD_CAPTURE_POSITION = -2 };

struct ld_match {
    const char *text, *text_end;
    const char *pattern_end;
    long steps; /* left */
    int depth;
    const char *wrong; /* what is wrong with the pattern; NULL: nothing */
    int count;
    struct ld_capture captures[LD_CAPTURES_MAX];
};

/* Begin to match within SIZE bytes of TEXT; as many steps as are fair for so
 * many. */
void ld_match_init(struct ld_match *m, const char *text, size_t size,
                   const char *pattern_end);

/* Where the match of PATTERN that begins at AT ends; NULL when there is none,
 * or M->wrong is set. */
const char *ld_match(struct ld_match *m, const char *at, const char *pattern);

#endif
