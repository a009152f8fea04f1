"""A Containerfile, as far as ours goes."""
import json
import re

KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE",
         "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def stages(text):
    """Its stages, each a list of (instruction, arguments)."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    found = []
    for line in filter(None, (part.strip() for part in text.splitlines())):
        name, rest = line.split(None, 1)
        if name not in KNOWN:
            raise ValueError(f"{name}: not an instruction that we use")
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def packages(command):
    """What apt-get install of a RUN installs."""
    asked = re.search(r"apt-get install ([^&]*)", command).group(1)
    return [word for word in asked.split() if not word.startswith("-")]


def words(text):
    """The words of a command in its exec form."""
    return json.loads(text[text.index("["):])
