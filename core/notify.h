/* notify.h -- tells a service manager how we are: sd_notify(3), without its
 * library.
 */
#ifndef LD_NOTIFY_H
#define LD_NOTIFY_H

/* Tell the manager TEXT, such as "READY=1"; without one, nothing happens.  It
 * is named in the environment, by NOTIFY_SOCKET. */
void ld_notify(const char *text);

#endif
