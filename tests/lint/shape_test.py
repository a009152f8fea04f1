#!/usr/bin/python3
"""Files stay short, say what they are for, and leave no unfinished work."""
import pathlib
import re
import sys

C_LINES, LUA_LINES, TEST_LINES = 450, 300, 600
C_WIDTH, LUA_WIDTH = 80, 120
FUNCTION_LINES = 60

ANNOTATION = re.compile(r"\s*---[@|]")  # the reference is made from these
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
# Fixtures are broken on purpose.
EXCEPT = ["spec/fixtures"]
FOLDERS = ["core", "lua", "handlers", "examples", "spec", "tests",
           "docs/tools"]


def limits(path):
    """(lines, columns) allowed to the file PATH."""
    is_lua = path.suffix == ".lua"
    lines = LUA_LINES if is_lua else C_LINES
    if path.parts[0] in ("spec", "tests"):
        lines = TEST_LINES
    return lines, LUA_WIDTH if is_lua else C_WIDTH


def long_functions(lines):
    """(line, length) of C functions that are too long: in this format, only
    a function's braces stand alone in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start - 1 > FUNCTION_LINES:
                yield start, number - start - 1
            start = None


def check(root, path):
    """Complaints about one file."""
    text = (root / path).read_text()
    lines = text.split("\n")
    count = sum(not ANNOTATION.match(line) for line in lines) - 1
    most, width = limits(path)
    if count > most:
        yield f"{path}: has {count} lines, more than {most}: split it"
    is_spec = path.name.endswith("_spec.lua")  # its name and `describe` say it
    if not is_spec and not re.match(r"/\*|--|#!.*\n--", text):
        yield f"{path}:1: does not open with a comment on what it is for"
    for number, line in enumerate(lines, 1):
        if len(line) > width:
            yield f"{path}:{number}: is longer than {width} columns"
        if UNFINISHED.search(line):
            yield f"{path}:{number}: finish it, or leave it out"
    if path.suffix == ".c":
        for number, length in long_functions(lines):
            yield (f"{path}:{number}: the function has {length} lines, more "
                   f"than {FUNCTION_LINES}: split it")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    files = [file.relative_to(root)
             for folder in FOLDERS
             for file in sorted((root / folder).rglob("*"))
             if file.suffix in (".c", ".h", ".lua") and file.is_file()]
    files = [path for path in files
             if not any(path.is_relative_to(folder) for folder in EXCEPT)]
    complaints = [line for path in files for line in check(root, path)]
    for complaint in complaints:
        print(complaint)
    if not files:
        print("there is no file to check")
    return 1 if complaints or not files else 0


if __name__ == "__main__":
    sys.exit(main())
