"""What a block printed, against what the page says."""
import difflib
import re


def tidy(text):
    """TEXT without spaces at the end of lines, or empty lines at its end."""
    lines = [line.rstrip() for line in text.split("\n")]
    return "\n".join(lines).rstrip("\n")


def pattern(expected):
    """A regular expression: `...` stands for anything, and alone on a line
    for any number of lines."""
    parts = []
    for line in expected.split("\n"):
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            pieces = map(re.escape, line.split("..."))
            parts.append(r"[\s\S]*?".join(pieces) + r"\n")
    return "".join(parts)


def matches(expected, printed):
    """Is PRINTED what the page calls EXPECTED?"""
    return bool(re.fullmatch(pattern(tidy(expected)), tidy(printed) + "\n"))


def difference(expected, printed):
    """The two, line by line."""
    lines = difflib.unified_diff(tidy(expected).split("\n"),
                                 tidy(printed).split("\n"),
                                 "the page", "what was printed", lineterm="")
    return "\n".join(lines)
