/* pattern.c -- see pattern.h. */
#include "pattern.h"

#include <ctype.h>
#include <string.h>

enum { STEPS_LEAST = 2000000, STEPS_PER_BYTE = 16, STEPS_MOST = 20000000 };

void ld_match_init(struct ld_match *m, const char *text, size_t size,
                   const char *pattern_end)
{
    m->text = text;
    m->text_end = text + size;
    m->pattern_end = pattern_end;
    m->steps = size > STEPS_MOST / STEPS_PER_BYTE
                   ? STEPS_MOST
                   : STEPS_LEAST + STEPS_PER_BYTE * (long)size;
    m->depth = 0;
    m->wrong = NULL;
    m->count = 0;
}

static const char *fail(struct ld_match *m, const char *why)
{
    if (!m->wrong)
        m->wrong = why;
    return NULL;
}

/* Where the item at P, a character, class or set, ends. */
static const char *item_end(struct ld_match *m, const char *p)
{
    char first = *p++;

    if (first == '%')
        return p < m->pattern_end
                   ? p + 1
                   : fail(m, "malformed pattern (ends with '%')");
    if (first != '[')
        return p;
    if (p < m->pattern_end && *p == '^')
        p++;
    do { /* a ] that comes first is itself */
        if (p >= m->pattern_end)
            return fail(m, "malformed pattern (missing ']')");
        p += *p == '%' && p + 1 < m->pattern_end ? 2 : 1;
    } while (p >= m->pattern_end || *p != ']');
    return p + 1;
}

static bool is_of_class(int c, int class)
{
    bool is;

    switch (tolower(class)) {
    case 'a': is = isalpha(c); break;
    case 'c': is = iscntrl(c); break;
    case 'd': is = isdigit(c); break;
    case 'g': is = isgraph(c); break;
    case 'l': is = islower(c); break;
    case 'p': is = ispunct(c); break;
    case 's': is = isspace(c); break;
    case 'u': is = isupper(c); break;
    case 'w': is = isalnum(c); break;
    case 'x': is = isxdigit(c); break;
    case 'z': is = c == 0; break;
    default: return class == c;
    }
    return isupper(class) ? !is : is;
}

/* Is C in the set from P, its [, to LAST, its ]? */
static bool is_in_set(struct ld_match *m, int c, const char *p,
                      const char *last)
{
    bool inverse = p[1] == '^', found = false;

    for (p += inverse ? 2 : 1; p < last && !found; p++) {
        m->steps--;
        if (*p == '%') {
            found = is_of_class(c, (unsigned char)*++p);
        } else if (p + 2 < last && p[1] == '-') {
            found = (unsigned char)p[0] <= c && c <= (unsigned char)p[2];
            p += 2;
        } else {
            found = (unsigned char)*p == c;
        }
    }
    return found != inverse;
}

/* Does the item from P to END take the character at AT? */
static bool takes(struct ld_match *m, const char *at, const char *p,
                  const char *end)
{
    int c = (unsigned char)*at;

    switch (*p) {
    case '.': return true;
    case '%': return is_of_class(c, (unsigned char)p[1]);
    case '[': return is_in_set(m, c, p, end - 1);
    default: return (unsigned char)*p == c;
    }
}

/* As many as there can be, then fewer. */
static const char *match_most(struct ld_match *m, const char *at, const char *p,
                              const char *end)
{
    ptrdiff_t n = 0;

    while (at + n < m->text_end && takes(m, at + n, p, end) && m->steps-- > 0)
        n++;
    for (; n >= 0 && !m->wrong; n--) {
        const char *found = ld_match(m, at + n, end + 1);

        if (found)
            return found;
    }
    return NULL;
}

/* As few as there can be, then more. */
static const char *match_least(struct ld_match *m, const char *at,
                               const char *p, const char *end)
{
    while (!m->wrong) {
        const char *found = ld_match(m, at, end + 1);

        if (found || at >= m->text_end || !takes(m, at, p, end))
            return found;
        at++;
    }
    return NULL;
}

static const char *match_optional(struct ld_match *m, const char *at,
                                  const char *p, const char *end)
{
    const char *found = NULL;

    if (at < m->text_end && takes(m, at, p, end))
        found = ld_match(m, at + 1, end + 1);
    return found || m->wrong ? found : ld_match(m, at, end + 1);
}

/* %bxy at P. */
static const char *match_balanced(struct ld_match *m, const char *at,
                                  const char *p)
{
    int open = 1;

    if (p + 3 >= m->pattern_end)
        return fail(m, "missing arguments to '%b'");
    if (at >= m->text_end || *at != p[2])
        return NULL;
    while (++at < m->text_end && m->steps-- > 0) {
        if (*at == p[3] && --open == 0)
            return at + 1;
        if (*at == p[2] && *at != p[3])
            open++;
    }
    return NULL;
}

/* %f[set] at P: its end, when the place fits. */
static const char *match_frontier(struct ld_match *m, const char *at,
                                  const char *p)
{
    const char *set = p + 2, *end;
    int before, after;

    if (set >= m->pattern_end || *set != '[')
        return fail(m, "missing '[' after '%f' in pattern");
    end = item_end(m, set);
    if (!end)
        return NULL;
    before = at == m->text ? 0 : (unsigned char)at[-1];
    after = at == m->text_end ? 0 : (unsigned char)*at;
    return !is_in_set(m, before, set, end - 1) &&
                   is_in_set(m, after, set, end - 1)
               ? end
               : NULL;
}

/* %1 to %9 at P. */
static const char *match_again(struct ld_match *m, const char *at,
                               const char *p)
{
    int i = p[1] - '1';
    const struct ld_capture *c = &m->captures[i < 0 ? 0 : i];

    if (i < 0 || i >= m->count || c->size == LD_CAPTURE_OPEN)
        return fail(m, "invalid capture index");
    if (c->size == LD_CAPTURE_POSITION)
        return NULL;
    m->steps -= c->size;
    if (m->text_end - at < c->size || memcmp(at, c->at, (size_t)c->size) != 0)
        return NULL;
    return at + c->size;
}

static const char *open_capture(struct ld_match *m, const char *at,
                                const char *p)
{
    bool position = p + 1 < m->pattern_end && p[1] == ')';
    const char *found;

    if (m->count == LD_CAPTURES_MAX)
        return fail(m, "too many captures");
    m->captures[m->count++] = (struct ld_capture){
        at, position ? LD_CAPTURE_POSITION : LD_CAPTURE_OPEN};
    found = ld_match(m, at, p + (position ? 2 : 1));
    if (!found)
        m->count--;
    return found;
}

static const char *close_capture(struct ld_match *m, const char *at,
                                 const char *p)
{
    int i = m->count - 1;
    const char *found;

    while (i >= 0 && m->captures[i].size != LD_CAPTURE_OPEN)
        i--;
    if (i < 0)
        return fail(m, "invalid pattern capture");
    m->captures[i].size = at - m->captures[i].at;
    found = ld_match(m, at, p + 1);
    if (!found)
        m->captures[i].size = LD_CAPTURE_OPEN;
    return found;
}

/* One step: what *P says moves *AT and *P on.  False when all is decided, and
 * *AT is the outcome. */
static bool step_item(struct ld_match *m, const char **at, const char **p)
{
    const char *end = item_end(m, *p);
    char how = end && end < m->pattern_end ? *end : '\0';

    if (!end) {
        *at = NULL;
        return false;
    }
    switch (how) {
    case '*': *at = match_most(m, *at, *p, end); return false;
    case '-': *at = match_least(m, *at, *p, end); return false;
    case '?': *at = match_optional(m, *at, *p, end); return false;
    default: break;
    }
    if (*at >= m->text_end || !takes(m, *at, *p, end)) {
        *at = NULL;
        return false;
    }
    ++*at;
    if (how == '+') {
        *at = match_most(m, *at, *p, end);
        return false;
    }
    *p = end;
    return true;
}

static bool step_special(struct ld_match *m, const char **at, const char **p)
{
    char next = (*p)[1];

    if (next == 'b') {
        *at = match_balanced(m, *at, *p);
        *p += 4;
    } else if (next == 'f') {
        *p = match_frontier(m, *at, *p);
        if (!*p)
            *at = NULL;
    } else {
        *at = match_again(m, *at, *p);
        *p += 2;
    }
    return *at != NULL;
}

static bool is_special(const struct ld_match *m, const char *p)
{
    return *p == '%' && p + 1 < m->pattern_end &&
           (p[1] == 'b' || p[1] == 'f' || isdigit((unsigned char)p[1]));
}

/* See step_item(). */
static bool step(struct ld_match *m, const char **at, const char **p)
{
    if (*p == m->pattern_end)
        return false;
    if (**p == '(' || **p == ')') {
        *at = **p == '(' ? open_capture(m, *at, *p) : close_capture(m, *at, *p);
        return false;
    }
    if (**p == '$' && *p + 1 == m->pattern_end) {
        if (*at != m->text_end)
            *at = NULL;
        return false;
    }
    return is_special(m, *p) ? step_special(m, at, p) : step_item(m, at, p);
}

const char *ld_match(struct ld_match *m, const char *at, const char *pattern)
{
    if (++m->depth > LD_PATTERN_DEPTH)
        fail(m, "pattern too complex");
    do {
        if (m->steps-- <= 0)
            fail(m, "pattern too complex for so long a text");
    } while (!m->wrong && step(m, &at, &pattern));
    m->depth--;
    return m->wrong ? NULL : at;
}
