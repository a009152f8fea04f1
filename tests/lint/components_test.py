#!/usr/bin/python3
"""All that is installed is in a package: each install() names its component,
as CPack leaves out what has none, and the packages have all components."""
import pathlib
import re
import sys

INSTALL = pathlib.Path("cmake/Install.cmake")
PACKAGE = pathlib.Path("cmake/Package.cmake")


def calls(text):
    """The calls of install() in TEXT, without comments."""
    text = re.sub(r"^ *#.*", "", text, flags=re.M)
    for match in re.finditer(r"^ *install\(", text, re.M):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield text[match.start():end].strip()


def main():
    packed = re.search(r"CPACK_COMPONENTS_ALL ([^)]*)\)",
                       PACKAGE.read_text()).group(1).split()
    found, count = [], 0
    for call in calls(INSTALL.read_text()):
        count += 1
        named = re.findall(r"COMPONENT ([\w${}]+)", call)
        if not named:
            found.append(f"{INSTALL}: no COMPONENT: {call.splitlines()[0]}")
        found += [f"{INSTALL}: no package has the component {name}"
                  for name in named if name[0] != "$" and name not in packed]
    if count < 10:
        found.append(f"{INSTALL}: only {count} calls of install()")
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
