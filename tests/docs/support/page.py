"""A page of docs/: its code blocks, and what is to be done with each."""
import pathlib
import re
from dataclasses import dataclass

FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})(.*)$")
FILE = re.compile(r"^\S+ file=(\S+)$")
RUN = {"sh": "shell", "lua": "lua", "lua error": "error"}


class Failure(Exception):
    """What is wrong with a page, and where."""

    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


@dataclass
class Block:
    """The text between two fences.  KIND is file, shell, lua, error, output
    or diagram; NAME is that of a file, LINE that of the opening fence."""
    kind: str
    line: int
    text: str
    name: str = ""
    language: str = ""
    output: "Block" = None  # what it has to print, or to raise


def kind_of(info, line):
    """(kind, file name) of the block whose opening fence says INFO."""
    if info in RUN:
        return RUN[info], ""
    if info == "text output":
        return "output", ""
    if info == "diagram":
        return "diagram", ""
    match = FILE.match(info)
    if not match:
        raise Failure(line, f"a code block cannot be ```{info}")
    name = pathlib.PurePosixPath(match.group(1))
    if name.is_absolute() or ".." in name.parts:
        raise Failure(line, f"{name} lies outside of the page's directory")
    return "file", str(name)


def is_indented(line, before):
    """Is LINE code by its indent, behind the lines BEFORE?  Not within a list
    or a paragraph."""
    if not line.startswith("    ") or (before and before[-1].strip()):
        return False
    above = next((each for each in reversed(before) if each.strip()), "")
    return not re.match(r"\s|[-*+] |\d+\. ", above)


def fences(text):
    """(info, line, text) of each code block; hidden text is refused."""
    opened, before = None, []
    for number, line in enumerate(text.split("\n"), 1):
        match = FENCE.match(line)
        if opened is None:
            if match:
                indent, mark, info = match.groups()
                opened = (indent, mark, info.strip(), number, [])
            elif "<!--" in line:
                raise Failure(number, "a comment: what is run is what is read")
            elif is_indented(line, before):
                raise Failure(number, "code by its indent: fence it, with what "
                              "it is, or as a diagram")
            before.append(line)
            continue
        indent, mark, info, start, lines = opened
        if match and match.group(2).startswith(mark) and not match.group(3):
            yield info, start, "".join(f"{each}\n" for each in lines)
            opened, before = None, []
        else:
            lines.append(line.removeprefix(indent))
    if opened is not None:
        raise Failure(opened[3], "this code block has no end")


def read(text):
    """The blocks of a page.  One of output belongs to the block before it."""
    blocks = []
    for info, line, body in fences(text):
        kind, name = kind_of(info, line)
        block = Block(kind, line, body, name, info.split(" ")[0])
        if kind != "output":
            blocks.append(block)
            continue
        before = blocks[-1] if blocks else None
        if not before or before.kind not in RUN.values() or before.output:
            raise Failure(line, "output of what? no block before it is run")
        before.output = block
    return blocks


def needs_prefix(text):
    """Does the page build or load something against an installed package?"""
    return bool(re.search(r"pkg-config|^\s*```(c|python)\b", text, re.M))
