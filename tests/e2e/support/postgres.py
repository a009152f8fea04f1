"""A PostgreSQL server of a test's own, and its clients' environment."""
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import tempfile

from support.gateway import PATIENCE, until

PASSWORD = "what nobody may see"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{directory}'
port = {port}
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 60
shared_buffers = 32MB
autovacuum = off
wal_level = replica
max_wal_senders = 2
"""


def programs():
    """The directory of the server's programs, the newest that there is."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "no PostgreSQL here: apt-get install postgresql"
    return found[-1].parent


def free_port():
    """One that no outgoing connection gets: those have theirs from 32768 on."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            pass


class Postgres:
    """A server in a directory of its own, that asks for a password by TCP and
    for none by its unix socket.  It refuses to run as root, and so runs as
    another user then.  Use as a context manager."""

    def __init__(self):
        self.bin, self.port, self.process = programs(), free_port(), None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ld-pg-"))
        self.data = self.directory / "data"
        self.become = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.become = ["setpriv", f"--reuid={user.pw_uid}",
                           f"--regid={user.pw_gid}", "--clear-groups"]
        os.chmod(self.directory, 0o755)
        try:
            self.initialize()
            self.start()
        except BaseException:
            self.close()
            raise

    def initialize(self):
        secret = self.directory / "password"
        secret.write_text(PASSWORD)
        os.chmod(secret, 0o644)
        subprocess.run(
            [*self.become, self.bin / "initdb", "-D", self.data, "-U", "ann",
             "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync",
             f"--pwfile={secret}", "--locale=C", "-E", "UTF8"],
            check=True, capture_output=True, cwd="/", timeout=60)
        with (self.data / "postgresql.conf").open("a") as config:
            config.write(SETTINGS.format(directory=self.directory,
                                         port=self.port))

    def start(self):
        self.process = subprocess.Popen(
            [*self.become, self.bin / "postgres", "-D", self.data], cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=(self.directory / "log").open("a"))
        until(self.is_ready, "a server that is ready")

    def is_ready(self):
        assert self.process.poll() is None, self.log()
        return subprocess.run(
            [self.bin / "pg_isready", "-q", "-h", self.directory,
             "-p", str(self.port)], check=False).returncode == 0

    def stop(self):
        """A fast shutdown: its clients are told, and lose their connection."""
        self.process.send_signal(2)
        self.process.wait(PATIENCE)

    def log(self):
        return (self.directory / "log").read_text()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(3)
            self.process.wait(PATIENCE)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def environment(port, **more):
    """For programs that are clients of whoever listens at PORT."""
    return {"PATH": os.environ["PATH"], "PGHOST": "127.0.0.1",
            "PGPORT": str(port), "PGUSER": "ann", "PGDATABASE": "postgres",
            "PGPASSWORD": PASSWORD, "PGSSLMODE": "prefer", "LC_ALL": "C",
            "HOME": "/nonexistent", **more}


def client(port, program, *arguments, stdin=None, seconds=60, **more):
    """Run PROGRAM, of the server's or in PATH, as a client of PORT: what came
    of it, as text."""
    own = programs() / program
    return subprocess.run(
        [own if own.exists() else program, *map(str, arguments)],
        env=environment(port, **more), input=stdin, capture_output=True,
        text=True, timeout=seconds, cwd="/")
