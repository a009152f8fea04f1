#!/usr/bin/python3
"""What Containerfile installs to build the packages is what ./dev package
needs, and the rest of its first stage is that command; what comes of the last
stage is tried by tests/e2e/packages_bare_test.sh."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, "tests/e2e/support")
from containerfile import packages, stages  # noqa: E402


def needed():
    """The packages in the lists of ./dev."""
    text = pathlib.Path("dev").read_text()
    lists = [re.search(rf"^{name}=\([^)]*\)", text, re.M).group()
             for name in ("build_packages", "package_packages")]
    script = "\n".join(lists) + \
        '\necho "${build_packages[@]}" "${package_packages[@]}"'
    return subprocess.run(["bash", "-c", script], check=True, text=True,
                          capture_output=True).stdout.split()


def complaints():
    build, final = stages(pathlib.Path("Containerfile").read_text())
    runs = [rest for name, rest in build if name == "RUN"]
    if sorted(packages(runs[0])) != sorted(needed()):
        yield f"other packages than ./dev package needs: {sorted(needed())}"
    if runs[1:] != ["./dev package /packages"]:
        yield "its last command is not ./dev package"
    kept = dict(final)
    for name in ("USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"):
        if name not in kept:
            yield f"{name} is missing"
    if kept.get("USER") in ("root", "0"):
        yield "it runs as root"


def main():
    found = list(complaints())
    for text in found:
        print(f"Containerfile: {text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
