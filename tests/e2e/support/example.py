"""An example of examples/, started and tried as its first comment says."""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading

from support.gateway import PATIENCE, PROGRAM, SOURCE, Gateway

LOCAL = re.compile(r"127\.0\.0\.1:(\d+)")


def head(name):
    """The commands of example NAME: its comment up to an empty line."""
    commands = []
    for line in (SOURCE / "examples" / (name + ".lua")).open():
        if line.rstrip() == "--":
            return commands
        commands.append(line.removeprefix("-- ").rstrip())
    raise AssertionError(f"examples/{name}.lua has no first comment")


class Example(Gateway):
    """Runs example NAME with the first command of its comment, but on free
    ports, in a directory with a copy of examples/.  Use as a context
    manager.  OPTIONS go to `linedancer run` as well."""

    def __init__(self, name, *options):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ld-e2e-"))
        self.lines, self.read = [], threading.Condition()
        shutil.copytree(SOURCE / "examples", self.directory / "examples")
        command, *self.commands = head(name)
        words = shlex.split(command.removeprefix("./dev build && "))
        assert words[:2] == ["build/linedancer", "run"], command
        self.documented = LOCAL.findall(command)
        if not self.documented:
            self.free_ports(self.directory / words[2])
        self.process = subprocess.Popen(
            [PROGRAM, *(LOCAL.sub("127.0.0.1:0", word) for word in words[1:]),
             *options],
            cwd=self.directory, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace")
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.ports = []
        try:
            for _ in self.documented:
                self.ports.append(self.next_port(len(self.ports)))
        except BaseException:
            self.close()
            raise

    def free_ports(self, config):
        """Have the listeners of CONFIG take any port, and their own paths."""
        text = config.read_text().replace("unix:/tmp", f"unix:{config.parent}")
        listener = re.compile(r'\{ "127\.0\.0\.1:(\d+)"')
        self.documented = listener.findall(text)
        config.write_text(listener.sub('{ "127.0.0.1:0"', text))

    def command(self, number):
        """The command to try it, with the ports that there are."""
        text = self.commands[number]
        for index, port in enumerate(self.documented):
            text = re.sub(rf"\b{port}\b", str(self.port(index)), text)
        return text

    def attempt(self, number=0, old="", new=""):
        """What a command to try it prints; with NEW where it has OLD."""
        return subprocess.run(
            ["bash", "-c", self.command(number).replace(old, new)],
            stdout=subprocess.PIPE, check=True,
            timeout=PATIENCE).stdout.decode()

    @contextlib.contextmanager
    def running(self, number):
        """A command to try it runs for a while, in the background."""
        process = subprocess.Popen(
            ["bash", "-c", self.command(number)], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)
