#!/usr/bin/python3
"""pass_sockets.py FD... -- COMMAND...: run COMMAND with the listening sockets FD
as a service manager passes them.  (sd_listen_fds(3))"""
import fcntl
import os
import sys

FIRST, AWAY = 3, 100

end = sys.argv.index("--")
copies = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, AWAY) for fd in sys.argv[1:end]]
for number, fd in enumerate(copies, FIRST):
    os.dup2(fd, number, inheritable=True)
    os.close(fd)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(copies))}
os.execv(sys.argv[end + 1], sys.argv[end + 1:])
