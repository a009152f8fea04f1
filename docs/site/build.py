#!/usr/bin/python3
"""Renders the documentation as HTML, for a browser without a network:

    docs/site/build.py DIRECTORY

Pages come in the order of ORDER, those that it does not name behind them.
pandoc does the work; it is told what a page's code blocks are, which links
lead to other pages, and what the navigation holds.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SITE = pathlib.Path(__file__).resolve().parent
SOURCE = SITE.parents[1]
ORDER = """index tutorial handlers format reload testing operations embedding
security performance migrate-ranch migrate-stream-lua migrate-haproxy
faq""".split()
LONG = 60  # headings

FENCE = re.compile(r"^(\s*)(`{3,})(\S+)(?: (\S.*))?$")
# What pandoc calls a language that goes by another name here.
LANGUAGES = {"sh": "bash", "conf": "ini"}


def sources():
    """The Markdown files by the name of their page, in order."""
    found = {file.stem: file for file in SOURCE.glob("docs/*.md")}
    reference = SOURCE / "HANDLERS.md"
    if reference.exists():
        found["handlers"] = reference
    order = [*ORDER, *sorted(set(found) - set(ORDER))]
    return {name: found[name] for name in order if name in found}


def title_of(text):
    """The first heading, without its marks."""
    heading = re.search(r"^# (.+)$", text, re.M)
    return re.sub(r"[`*]", "", heading.group(1))


def attributes(language, rest):
    """The attributes, as pandoc has them, of a block ```LANGUAGE REST."""
    classes = [LANGUAGES.get(language, language)]
    if rest and rest.startswith("file="):
        return "{.%s .file data-name=\"%s\"}" % (classes[0], rest[5:])
    if rest:
        classes.append(rest)
    return "{" + " ".join(f".{name}" for name in classes) + "}"


def with_attributes(text):
    """TEXT with the words behind its fences as attributes."""
    lines, end = [], None
    for line in text.split("\n"):
        match = FENCE.match(line)
        if end:
            end = None if line.strip() == end else end
        elif match:
            indent, end, language, rest = match.groups()
            line = f"{indent}{end} {attributes(language, rest)}"
        elif line.strip().startswith("```"):
            end = line.strip()
        lines.append(line)
    return "\n".join(lines)


def depth_of(text):
    """How deep the contents go: of a long page, not to every function."""
    return 3 if len(re.findall("^##", text, re.M)) <= LONG else 2


def render(name, pages, titles, out):
    """Write the page NAME to OUT."""
    text = pages[name].read_text()
    names = list(pages)
    at = names.index(name)

    def entry(i):
        if not 0 <= i < len(names):
            return None
        return {"href": f"{names[i]}.html", "title": titles[names[i]],
                "current": i == at}

    metadata = {"pagetitle": titles[name], "before": entry(at - 1),
                "after": entry(at + 1),
                "pages": [entry(i) for i in range(len(names))],
                "known": {str(file.relative_to(SOURCE)): f"{known}.html"
                          for known, file in pages.items()},
                "directory": str(pages[name].parent.relative_to(SOURCE))}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(metadata, file)
        file.flush()
        subprocess.run(
            ["pandoc", "--from=gfm+attributes", "--to=html5", "--toc",
             f"--toc-depth={depth_of(text)}", "--standalone", f"--template={SITE}/page.html",
             f"--lua-filter={SITE}/filter.lua", f"--metadata-file={file.name}",
             f"--output={out / name}.html"],
            input=with_attributes(text), text=True,
            check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not shutil.which("pandoc"):
        sys.exit("pandoc is missing: it is Debian's package pandoc")
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.html"):
        old.unlink()
    shutil.copy(SITE / "style.css", out)
    pages = sources()
    titles = {name: title_of(file.read_text())
              for name, file in pages.items()}
    for name in pages:
        render(name, pages, titles, out)


if __name__ == "__main__":
    main()
