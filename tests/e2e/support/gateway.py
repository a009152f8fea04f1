"""A gateway under test: a config, a process, and its log."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

BUILD = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
PROGRAM = BUILD / "linedancer"
SOURCE = pathlib.Path(__file__).resolve().parents[3]
PATIENCE = 15  # seconds until an event that should come is given up

# A handler: a frame is a length and that many bytes; its answer is the bytes.
FRAMED = """
local states = {}
function states.frame(conn)
  local size = conn:unpack "B"
  if not size then return end
  conn:write(conn:expect(size))
  return "frame"
end
return { initial = "frame", states = states, timeouts = { 60 } }
"""


class Lua(str):
    """A text that is a Lua expression."""


def lua(value):
    """VALUE as a Lua expression."""
    if isinstance(value, Lua):
        return value
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nil"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"[{lua(key)}] = {lua(item)}"
                                for key, item in value.items()) + " }"
    return "{ " + ", ".join(lua(item) for item in value) + " }"


def bundled(name):
    """The path of a handler that comes with the program."""
    return str(SOURCE / "handlers" / (name + ".lua"))


def until(condition, what="the condition"):
    """Wait for CONDITION() to hold, where there is no event to wait for."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about")
        time.sleep(0.01)


class Gateway:
    """Runs `linedancer run` with a config made of LISTEN, an array of
    listeners as dicts: handler (a bundled name, or Lua source), address
    (default a free port of 127.0.0.1), and what else a listener may have.
    FILES are more files, by name.  Other keywords are config keys; without
    workers, all is one process.  PASSED are sockets that it gets as a service
    manager would pass them.  Use as a context manager."""

    def __init__(self, *listen, before=None, files=None, workers=0, passed=(),
                 **config):
        config["workers"] = workers
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ld-e2e-"))
        self.lines, self.read = [], threading.Condition()
        self.ports = []
        for name, text in (files or {}).items():
            self.write(name, text)
        self.config = self.write("gateway.lua", self.config_text(listen,
                                                                 config))
        command = [PROGRAM, "run", self.config]
        if passed:
            command = [pathlib.Path(__file__).parent / "pass_sockets.py",
                       *(str(sock.fileno()) for sock in passed), "--", *command]
        self.process = subprocess.Popen(
            command, cwd=SOURCE, preexec_fn=before,
            pass_fds=[sock.fileno() for sock in passed],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace")
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        try:
            for _ in listen:
                self.ports.append(self.next_port(len(self.ports)))
        except BaseException:
            self.close()
            raise

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def config_text(self, listen, config):
        listeners = []
        for number, given in enumerate(listen, 1):
            entry = dict(given)
            handler = entry["handler"]
            if "return" in handler:
                entry["handler"] = self.write(f"handler{number}.lua", handler)
            elif "/" not in handler:
                entry["handler"] = bundled(handler.replace(".", "/"))
            address = entry.pop("address", "127.0.0.1:0")
            address = address.replace("{dir}", str(self.directory))
            pairs = [f"{key} = {lua(item)}" for key, item in entry.items()]
            listeners.append(f"{{ {lua(address)}, {', '.join(pairs)} }}")
        keys = [f"{key} = {lua(item)}," for key, item in config.items()]
        return (f"return {{ listen = {{ {', '.join(listeners)} }}, "
                f"{' '.join(keys)} }}\n")

    def next_port(self, number):
        line = self.await_line(r"listening address=(\S+)", number)
        return line.group(1)

    def read_log(self):
        for line in self.process.stderr:
            with self.read:
                self.lines.append(line.rstrip("\n"))
                self.read.notify_all()
        with self.read:
            self.lines.append(None)
            self.read.notify_all()

    def matches(self, pattern):
        found = (re.search(pattern, line) for line in self.lines if line)
        return [match for match in found if match]

    def await_line(self, pattern, number=0):
        """The match of the log line number NUMBER that PATTERN is found in."""
        with self.read:
            def ready():
                return (len(self.matches(pattern)) > number or
                        None in self.lines)
            self.read.wait_for(ready, PATIENCE)
            found = self.matches(pattern)
            if len(found) <= number:
                raise AssertionError(f"no line {pattern!r} in\n{self.log()}")
            return found[number]

    def count(self, pattern):
        with self.read:
            return len(self.matches(pattern))

    def log(self):
        return "\n".join(line for line in self.lines if line)

    def address(self, number=0):
        """(host, port), or the path of a unix socket."""
        text = self.ports[number]
        if text.startswith("unix:"):
            return text[5:]
        host, port = text.rsplit(":", 1)
        return host.strip("[]"), int(port)

    def port(self, number=0):
        return self.address(number)[1]

    def status(self, key):
        """The first number of line KEY of the process's status."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s*(\d+)", text, re.M).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def workers(self):
        """The processes of the workers."""
        children = f"/proc/{self.pid}/task/{self.pid}/children"
        return [int(pid) for pid in pathlib.Path(children).read_text().split()]

    def naps(self, looks=50):
        """In how many of LOOKS, 5 ms apart, the process sleeps: one that
        spins is always running."""
        count = 0
        for _ in range(looks):
            time.sleep(0.005)
            text = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
            count += text.rpartition(")")[2].split()[0] == "S"
        return count

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """The exit code, once the gateway has ended and its log is read."""
        code = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return code

    def stop(self):
        """Ask it to stop; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        crashed = self.process.poll() not in (None, 0, 1, -signal.SIGKILL)
        self.close()
        if kind:
            print(f"--- log of the gateway\n{self.log()}\n---")
        if crashed and not kind:
            raise AssertionError(f"the gateway crashed\n{self.log()}")


def run(*arguments, cwd=None, stdin=None):
    """`linedancer ARGUMENTS`: its result, with stdout and stderr as text."""
    return subprocess.run([PROGRAM, *arguments], cwd=cwd or SOURCE,
                          input=stdin, capture_output=True, text=True,
                          timeout=PATIENCE)
