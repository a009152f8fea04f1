#!/usr/bin/python3
"""Manual pages are good mdoc, and refer only to pages that there are.

What they say is compared with the program by spec/manual_spec.lua.
"""
import pathlib
import re
import subprocess
import sys

PAGES = pathlib.Path("docs/man")
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


def main():
    pages = sorted(PAGES.glob("*.[1-9]"))
    found = complaints(pages) + list(dangling(pages))
    if len(pages) < 3:
        found.append(f"{PAGES}: pages are missing")
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
