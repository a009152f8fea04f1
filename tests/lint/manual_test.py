#!/usr/bin/python3
"""Manual pages are good mdoc, refer only to pages that there are, and that of
the library declares what the library exports, as the header does.

What the others say is compared with the program by spec/manual_spec.lua.
"""
import pathlib
import re
import subprocess
import sys

PAGES = pathlib.Path("docs/man")
LIBRARY = PAGES / "liblinedancer.3"
HEADER = pathlib.Path("core/linedancer.h")
MAP = pathlib.Path("cmake/linedancer.map")
REFERENCE = re.compile(r"^\.Xr (linedancer\S*|liblinedancer\S*) (\d)", re.M)


def complaints(pages):
    """What mandoc says of PAGES."""
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages],
                          capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()


def dangling(pages):
    """References to pages of ours that are not there."""
    names = {page.name for page in pages}
    for page in pages:
        for name, section in REFERENCE.findall(page.read_text()):
            if f"{name}.{section}" not in names:
                yield f"{page}: there is no {name}({section})"


def plain(text):
    """C without comments, and with single spaces where there must be one."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"\s*([*(),])\s*", r"\1", text))


def declared():
    """The types of functions and of what they take, by name, as the page has
    them."""
    found = {}
    text = LIBRARY.read_text()
    for kind, name, rest in re.findall(r'^\.Ft (.*)\n\.Fn (\w+) (.*)$', text,
                                       re.M):
        taken = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', rest)]
        kind = kind.strip('"')
        found[name] = plain(f"{kind} {name}({','.join(taken)})")
    return found


def undeclared():
    """Where the page and what is exported differ."""
    exported = set(re.findall(r"^ {4}(\w+);", MAP.read_text(), re.M))
    page = declared()
    header = plain(HEADER.read_text())
    for name in sorted(exported ^ page.keys()):
        yield f"{LIBRARY}: {name}: in the page or in {MAP}, but not both"
    for name in sorted(exported & page.keys()):
        if page[name] + ";" not in header:
            yield f"{LIBRARY}: not as in {HEADER}: {page[name]}"
    for error in re.findall(r"^ +(LD_ERR_\w+)", HEADER.read_text(), re.M):
        if f".It Dv {error}\n" not in LIBRARY.read_text():
            yield f"{LIBRARY}: {error} is missing"


def main():
    pages = sorted(PAGES.glob("*.[1-9]"))
    found = complaints(pages) + list(dangling(pages)) + list(undeclared())
    if len(pages) < 4:
        found.append(f"{PAGES}: pages are missing")
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
