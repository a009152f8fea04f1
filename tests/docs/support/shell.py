"""One bash for all blocks of a page, so that variables and jobs persist."""
import fcntl
import os
import pathlib
import select
import subprocess

# Each block is read from a file, and prints to another: what it leaves running
# may go on printing, and holds nothing up.
DRIVER = """
set -euo pipefail
while read -r block <&{commands}; do
    . "$block" >"$block.out" 2>&1 </dev/null {commands}<&- {answers}>&-
    echo done >&{answers}
done
"""
HIGH = 200  # descriptors from here on are not those that a page would open


def high(descriptor):
    """DESCRIPTOR under a number that is out of the page's way."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH)
    os.close(descriptor)
    return moved


class Shell:
    """A bash in DIRECTORY, whose files for itself are below OWN."""

    def __init__(self, directory, own, environment):
        self.own = pathlib.Path(own)
        self.count = 0
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        commands, answers = high(commands), high(answers)
        driver = DRIVER.format(commands=commands, answers=answers)
        self.process = subprocess.Popen(
            ["bash", "-c", driver], cwd=directory, env=environment,
            stdin=subprocess.DEVNULL, pass_fds=(commands, answers),
            start_new_session=True)
        os.close(commands)
        os.close(answers)

    def run(self, text, patience):
        """(exit status, or None if it took longer; output) of a block."""
        self.count += 1
        block = self.own / f"block{self.count}"
        block.write_text(text)
        os.write(self.commands, f"{block}\n".encode())
        ready = select.select([self.answers], [], [], patience)[0]
        status = None
        if ready:
            done = os.read(self.answers, 64)
            status = 0 if done else self.process.wait()
            # A block that calls `exit 0` ends the page before its time.
            if not done and status == 0:
                status = "exit"
        out = pathlib.Path(f"{block}.out")
        printed = out.read_text(errors="replace") if out.exists() else ""
        return status, printed

    def close(self):
        os.close(self.commands)
        os.close(self.answers)
