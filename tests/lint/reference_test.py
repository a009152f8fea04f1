#!/usr/bin/python3
"""HANDLERS.md and library/ are what the doc comments say, and the files in
library/ are Lua whose types are all there."""
import pathlib
import re
import subprocess
import sys

CLASS = re.compile(r"^---@(?:class|alias) ([\w.]+)", re.M)
USED = re.compile(r"\blinedancer\.[\w.]*[A-Z]\w*")


def stale(root):
    """Complaints about what was not made anew."""
    result = subprocess.run(
        ["luajit", root / "docs/tools/reference.lua", "--check"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        yield result.stdout.strip() or "docs/tools/reference.lua failed"


def broken(root, files):
    """Complaints about files that are no Lua, or have types of no class."""
    known = {name for file in files for name in CLASS.findall(file.read_text())}
    for file in files:
        path = file.relative_to(root)
        text = file.read_text()
        if not text.startswith("---@meta "):
            yield f"{path}:1: does not begin with ---@meta"
        result = subprocess.run(["luajit", "-bl", file], text=True,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
        if result.returncode != 0:
            yield f"{path}: {result.stderr.strip()}"
        for number, line in enumerate(text.splitlines(), 1):
            for name in USED.findall(line.split("#")[0]):
                if name not in known:
                    yield f"{path}:{number}: no class is called {name}"


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    files = sorted((root / "library").rglob("*.lua"))
    complaints = [*stale(root), *broken(root, files)]
    for complaint in complaints:
        print(complaint)
    if not files:
        print("there is no file to check")
    return 1 if complaints or not files else 0


if __name__ == "__main__":
    sys.exit(main())
