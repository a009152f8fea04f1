/* watch.h -- what happens in a directory, on a libev loop.  (inotify) */
#ifndef WATCH_H
#define WATCH_H

#include <ev.h>

/* EVENT is "created", "changed", "deleted", or "lost": there were more than the
 * kernel keeps.  "gone": the directory itself is; it is the last one. */
typedef void (*watch_fn)(void *ctx, const char *event, const char *name,
                         long long size);

struct watch {
    struct ev_loop *loop;
    ev_io readable;
    const char *dir; /* borrowed */
    watch_fn fn;
    void *ctx;
};

/* Call FN for what happens in DIR from now on; -1 with errno set. */
int watch_open(struct watch *w, struct ev_loop *loop, const char *dir,
               watch_fn fn, void *ctx);

/* Call FN for each file in DIR; how many there are, or -1 with errno set. */
int watch_list(const struct watch *w, watch_fn fn, void *ctx);

void watch_close(struct watch *w);

#endif
