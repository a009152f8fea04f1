#!/usr/bin/python3
"""Includes point downwards, and Lua and libev stay in their places.

A file of core/ belongs to the module of its name up to the first "_" or ".":
conn_write.c is part of conn.  It may include its own layer and those below.
"""
import pathlib
import re
import sys

LAYERS = [
    {"ld", "value", "crowd"},
    {"log", "buf", "chain", "blob", "confine", "format", "names", "notify", "outbox",
     "seat", "syscalls"},
    {"unpack", "pack", "timer", "transport", "sock", "memory", "nowhere", "tls",
     "proxy", "network", "source",
     "plan"},
    {"listener", "activation", "handshake", "dial", "conn", "pool", "channel"},
    {"worker", "desk", "control", "gateway", "linedancer", "bus", "arbiter",
     "supervisor"},
    {"bind"},
    {"main"},
]
LUA_HEADERS = {"lua.h", "lauxlib.h", "lualib.h", "luaconf.h", "luajit.h"}
LUA_USERS = {"bind"}
EV_USERS = {"sock", "listener", "handshake", "dial", "conn", "worker", "desk", "control", "gateway",
            "bind", "bus", "main"}
# What LuaJIT itself brings, less what would let a handler see a pointer.
BUILT_IN = {"bit", "string.buffer", "table.new", "table.clear"}

LAYER_OF = {name: i for i, names in enumerate(LAYERS) for name in names}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
REQUIRE = re.compile(r'\brequire\s*\(?\s*(["\'])([^"\']*)\1')


def module_of(path):
    """The module of a path below core/."""
    if path.parts[0] == "bind":
        return "bind"
    return re.split(r"[_.]", path.name)[0]


def check_include(core, path, quote, target):
    """Complaints about one include of core/PATH."""
    user = module_of(path)
    name = pathlib.PurePosixPath(target).name
    if name in LUA_HEADERS:
        if user not in LUA_USERS:
            yield f"{target} is for core/bind/ alone"
        return
    if name == "ev.h":
        if user not in EV_USERS:
            yield f"ev.h is for {', '.join(sorted(EV_USERS))}"
        return
    if quote == "<":
        return

    beside = (core / path).parent / target
    found = beside if beside.exists() else core / target
    found = found.resolve()
    if not found.is_file() or not found.is_relative_to(core):
        yield f'"{target}" is not a header of the core'
        return
    used = module_of(found.relative_to(core))
    if used not in LAYER_OF:
        yield f"{used} has no layer: give it one in tests/lint/layers_test.py"
    elif LAYER_OF[used] > LAYER_OF[user]:
        yield f"{user} may not include {target}: {used} lies above it"


def check_core(root):
    """Complaints about the includes in core/."""
    core = (root / "core").resolve()
    for file in sorted(core.rglob("*.[ch]")):
        path = file.relative_to(core)
        if module_of(path) not in LAYER_OF:
            yield (f"core/{path}: {module_of(path)} has no layer: give it one "
                   "in tests/lint/layers_test.py")
            continue
        text = file.read_text()
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            for complaint in check_include(core, path, *match.groups()):
                yield f"core/{path}:{line}: {complaint}"
        if path.name == "linedancer.h" and INCLUDE.search(text):
            if any(q == '"' for q, _ in INCLUDE.findall(text)):
                yield "core/linedancer.h: is installed alone: no own headers"


def requires(file):
    """(line, module) for each require of a literal in a Lua file."""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        for match in REQUIRE.finditer(line.split("--")[0]):
            yield number, match.group(2)


def allowed_in_handler(own, name):
    """May the handler called OWN require the module NAME?"""
    if name in BUILT_IN or name == "linedancer":
        return True
    if name.startswith("linedancer."):
        return not re.match(r"linedancer\.core\b", name)
    return bool(re.match(rf"(handlers\.)?{re.escape(own)}(\.|$)", name))


def check_lua(root):
    """Complaints about the requires in handlers/ and lua/."""
    handlers = root / "handlers"
    for file in sorted(handlers.rglob("*.lua")):
        path = file.relative_to(handlers)
        own = path.parts[0].removesuffix(".lua")
        for line, name in requires(file):
            if not allowed_in_handler(own, name):
                yield (f"handlers/{path}:{line}: requires {name}; a handler "
                       "requires linedancer, linedancer.* (not the core) and "
                       f"its own {own}.*")
    for file in sorted((root / "lua").rglob("*.lua")):
        for line, name in requires(file):
            is_template = "$" in name  # see lua/linedancer/scaffold.lua
            if name.startswith("handlers.") and not is_template:
                yield (f"{file.relative_to(root)}:{line}: requires {name}; "
                       "the Lua half knows no handler")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    complaints = [*check_core(root), *check_lua(root)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
