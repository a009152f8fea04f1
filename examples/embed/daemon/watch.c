/* watch.c -- see watch.h. */
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EVENTS = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE |
             IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
};

/* The size of file NAME; -1 when it is none, or gone again. */
static long long size_of(const struct watch *w, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    if (snprintf(path, sizeof(path), "%s/%s", w->dir, name) >= PATH_MAX ||
        stat(path, &st) || !S_ISREG(st.st_mode))
        return -1;
    return st.st_size;
}

static const char *name_of(unsigned mask)
{
    if (mask & (IN_DELETE | IN_MOVED_FROM))
        return "deleted";
    return mask & IN_CLOSE_WRITE ? "changed" : "created";
}

static void tell(const struct watch *w, const struct inotify_event *event)
{
    long long size;

    if (event->mask & IN_Q_OVERFLOW)
        w->fn(w->ctx, "lost", "", 0);
    if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF))
        w->fn(w->ctx, "gone", "", 0);
    if (event->len == 0)
        return;
    size =
        event->mask & (IN_DELETE | IN_MOVED_FROM) ? 0 : size_of(w, event->name);
    if (size >= 0)
        w->fn(w->ctx, name_of(event->mask), event->name, size);
}

static void on_readable(struct ev_loop *loop, ev_io *readable, int events)
{
    _Alignas(struct inotify_event) char buffer[16384];
    const struct watch *w = readable->data;
    ssize_t n = read(readable->fd, buffer, sizeof(buffer));

    (void)loop;
    (void)events;
    for (char *at = buffer; at < buffer + n;) {
        const struct inotify_event *event = (void *)at;

        at += sizeof(*event) + event->len;
        tell(w, event);
    }
}

int watch_open(struct watch *w, struct ev_loop *loop, const char *dir,
               watch_fn fn, void *ctx)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return -1;
    if (inotify_add_watch(fd, dir, EVENTS) < 0) {
        int err = errno;

        close(fd);
        errno = err;
        return -1;
    }
    *w = (struct watch){.loop = loop, .dir = dir, .fn = fn, .ctx = ctx};
    ev_io_init(&w->readable, on_readable, fd, EV_READ);
    w->readable.data = w;
    ev_io_start(loop, &w->readable);
    return 0;
}

int watch_list(const struct watch *w, watch_fn fn, void *ctx)
{
    const struct dirent *entry;
    DIR *dir = opendir(w->dir);
    int count = 0;

    if (!dir)
        return -1;
    while ((entry = readdir(dir))) {
        long long size = size_of(w, entry->d_name);

        if (size < 0)
            continue;
        fn(ctx, "present", entry->d_name, size);
        count++;
    }
    closedir(dir);
    return count;
}

void watch_close(struct watch *w)
{
    ev_io_stop(w->loop, &w->readable);
    close(w->readable.fd);
}
