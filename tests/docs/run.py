#!/usr/bin/python3
"""Runs pages of the documentation: run.py [--show] PAGE...

With --show it prints what each block prints.

Each page is executed from top to bottom in an empty directory, with the built
program in PATH, in a network of its own.  By the words behind a fence:

    ```lua file=NAME   (or another language) is written to NAME
    ```sh              is run by bash -euo pipefail, and has to exit with 0;
                       variables and jobs persist until the page is over
    ```lua             is run by luajit, with ld, t (linedancer.testing) and
                       luassert's assert; it may not raise
    ```lua error       has to raise
    ```text output     is what the block before it printed, or raised; `...`
                       stands for anything
    ```diagram         is only looked at

Anything else, and a comment of HTML, is an error of the page.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import output, place
from support.page import Failure, needs_prefix, read
from support.shell import Shell

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", SOURCE / "build")).resolve()
PATIENCE = float(os.environ.get("DOCS_PATIENCE", 60))  # seconds for a block
HELPER = pathlib.Path(__file__).parent / "support" / "block.lua"


def environment(directory, text):
    """The variables that the blocks of a page see."""
    own = {"PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(directory),
           "LC_ALL": "C.UTF-8", "TERM": "dumb",
           "LUA_CPATH": f"{BUILD}/lib/?.so;;",
           "ERL_LIBS": f"{BUILD}/erlang"}
    if needs_prefix(text):
        own.update(place.prefix(BUILD))
    return own


class Run:
    """The run of one page, in DIRECTORY."""

    def __init__(self, page, directory, show):
        self.page = str(page)
        self.show = show
        self.here = pathlib.Path(directory) / "page"
        self.own = pathlib.Path(directory) / "runner"
        self.here.mkdir()
        self.own.mkdir()
        text = page.read_text()
        self.blocks = read(text)
        self.environment = environment(self.here, text)
        self.shell = Shell(self.here, self.own, self.environment)

    def do(self):
        try:
            for block in self.blocks:
                getattr(self, f"do_{block.kind}")(block)
        finally:
            self.shell.close()
            place.end_all()

    def do_diagram(self, block):
        pass

    def do_file(self, block):
        path = self.here / block.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def do_shell(self, block):
        status, printed = self.shell.run(block.text, PATIENCE)
        if status is None:
            raise Failure(block.line, f"takes longer than {PATIENCE:g} s; it "
                          f"printed\n{printed}")
        if status == "exit":
            raise Failure(block.line, "ends the shell")
        if status:
            raise Failure(block.line,
                          f"exits with {status}; it printed\n{printed}")
        self.compare(block, printed)

    def do_lua(self, block, expected="return"):
        file = self.own / "block.lua"
        file.write_text(block.text)
        try:
            result = subprocess.run(
                ["luajit", HELPER, SOURCE, file, self.page, str(block.line),
                 expected], cwd=self.here, env=self.environment, text=True,
                errors="replace", stdin=subprocess.DEVNULL, timeout=PATIENCE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired:
            raise Failure(block.line, f"takes longer than {PATIENCE:g} s")
        if result.returncode:
            raise Failure(block.line, result.stdout)
        self.compare(block, result.stdout)

    def do_error(self, block):
        self.do_lua(block, "raise")

    def compare(self, block, printed):
        if self.show and printed:
            print(f"{self.page}:{block.line}: prints\n{printed}")
        if block.output and not output.matches(block.output.text, printed):
            raise Failure(block.output.line, "prints something else\n" +
                          output.difference(block.output.text, printed))


def run_page(path, show):
    """Is the page good?  If not, says why."""
    with tempfile.TemporaryDirectory(prefix="ld-docs-") as directory:
        try:
            Run(path, directory, show).do()
        except Failure as failure:
            print(f"{path}:{failure.line}: {failure}".rstrip("\n"))
            return False
    print(f"{path}: good")
    return True


def main():
    pages = [word for word in sys.argv[1:] if word != "--show"]
    show = "--show" in sys.argv[1:]
    if not pages:
        sys.exit(__doc__)
    held = place.own_network(BUILD)  # open until the end
    place.adopt()
    results = [run_page(pathlib.Path(page), show) for page in pages]
    del held
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
