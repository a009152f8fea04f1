#!/usr/bin/python3
"""The command line: what it refuses, how it says so, and its exit codes."""
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.gateway import PATIENCE, PROGRAM, run

GOOD = """--- good: one line each way.
local states = {}
function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  conn:write(line, "\\n")
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 } }
"""

TIMED = """
local t = require "linedancer.testing"
it("moves the clock, and has workers", function()
  local good = dofile "good.lua"
  assert.equal("timeout", t.play(good, { "h", t.advance(61) }).reason)
  local world = t.world { workers = 2 }
  local peers = { world:connect(good), world:connect("./good.lua",
                                                     { worker = 2 }) }
  for _, peer in ipairs(peers) do
    assert.equal("hi\\n", peer:send("hi\\n"):sent())
  end
  world:advance(61)
  for _, peer in ipairs(peers) do assert.equal("timeout", peer.reason) end
  world:close()
end)
"""

SPEC = """
local ld = require "linedancer"
describe("the gateway's own VM", function()
  it("plays a handler", function()
    local t = require "linedancer.testing"
    local good = dofile "good.lua"
    assert.same({ sent = "hi\\n", reason = "done" },
      (t.play(good, { "hi\\n", t.eof })))
    assert.is_table(ld)
    assert.is_truthy(jit)
  end)
end)
"""


class Cli(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ld-cli-"))
        self.write("good.lua", GOOD)

    def tearDown(self):
        shutil.rmtree(self.directory)

    def write(self, name, text):
        (self.directory / name).write_text(text)
        return name

    def refused(self, code, *arguments):
        """What the program says when it exits with CODE."""
        result = run(*arguments, cwd=self.directory)
        self.assertEqual(result.returncode, code, result)
        self.assertEqual(result.stdout, "")
        return result.stderr

    def done(self, *arguments):
        result = run(*arguments, cwd=self.directory)
        self.assertEqual(result.returncode, 0, result)
        return result.stdout

    def test_a_missing_handler_is_named_with_where_it_was_sought(self):
        self.write("config.lua", 'return { listen = { { "127.0.0.1:0", '
                   'handler = "./nowhere.lua" } } }')
        text = self.refused(1, "run", "config.lua")
        self.assertIn("listen[1].handler", text)
        self.assertIn("nowhere.lua", text)
        text = self.refused(1, "run", "--listen", "127.0.0.1:0", "--handler",
                            "nowhere")
        self.assertIn("'nowhere'", text)

    def test_a_missing_config_is_named(self):
        self.assertIn("none.lua", self.refused(1, "run", "none.lua"))

    def test_a_wrong_key_suggests_the_nearest(self):
        self.write("config.lua", 'return { listn = { { "127.0.0.1:0", '
                   'handler = "./good.lua" } } }')
        text = self.refused(1, "run", "config.lua")
        self.assertIn("config.lua", text)
        self.assertIn("'listn'", text)
        self.assertIn("listen", text.replace("listn", ""))
        self.write("config.lua", 'return { listen = { { "127.0.0.1:0", '
                   'handlr = "./good.lua" } } }')
        self.assertIn("handler",
                      self.refused(1, "run", "config.lua").split("handlr")[-1])

    def test_a_syntax_error_is_shown_with_its_file_and_line(self):
        self.write("bad.lua", "local states = {}\n\nfunction states.x(\n")
        for command in (["run", "--listen", "127.0.0.1:0", "--handler",
                         "./bad.lua"], ["check", "bad.lua"]):
            self.assertRegex(self.refused(1, *command),
                             r"bad\.lua:[34]: ")

    def test_an_error_while_a_handler_loads_has_its_place(self):
        self.write("bad.lua", "\nlocal x = nil\nreturn x.y\n")
        result = run("run", "--listen", "127.0.0.1:0", "--handler",
                     "./bad.lua", cwd=self.directory)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"bad\.lua:3: ")

    def test_wrong_usage_exits_with_2_and_says_where_help_is(self):
        for arguments in ([], ["dance"], ["run"], ["run", "--port", "7"],
                          ["check"], ["version", "now"], ["help", "me"],
                          ["--flag"], ["run", "a.lua", "b.lua"],
                          ["run", "--log-level", "loud", "a.lua"]):
            text = self.refused(2, *arguments)
            self.assertIn("help", text, arguments)
        self.assertIn("'run'", self.refused(2, "rum"))

    def test_check_tells_good_from_bad(self):
        self.assertEqual(self.done("check", "good.lua"), "good.lua: good\n")
        self.write("bad.lua", GOOD.replace('return "line"', 'return "lime"'))
        text = self.refused(1, "check", "bad.lua")
        self.assertRegex(text, r"bad\.lua:7: .*'lime'.*'line'")
        result = run("check", "good.lua", "bad.lua", cwd=self.directory)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout, "good.lua: good\n")

    def test_check_reads_configs_with_their_handlers(self):
        self.write("config.lua", 'return { listen = { { "127.0.0.1:0", '
                   'handler = "./good.lua", options = { x = 1 } } } }')
        text = self.refused(1, "check", "config.lua")
        self.assertIn("x", text)
        self.write("config.lua", 'return { listen = { { "127.0.0.1:0", '
                   'handler = "./good.lua" } } }')
        self.assertIn("good", self.done("check", "config.lua"))

    def test_specs_run_inside_the_gateways_vm(self):
        (self.directory / "spec").mkdir()
        self.write("spec/good_spec.lua", SPEC)
        result = run("test", cwd=self.directory)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("1 success", result.stdout)
        self.write("spec/good_spec.lua", SPEC.replace('"hi\\n", r', '"ho", r'))
        result = run("test", cwd=self.directory)
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("1 failure", result.stdout)

    def test_specs_have_a_clock_and_workers_of_their_own_and_log_no_failure(
            self):
        """What linedancer.testing can do in a plain luajit, it can do inside
        the gateway's VM, as quietly."""
        self.write("timed_spec.lua", TIMED)
        result = run("test", "timed_spec.lua", cwd=self.directory)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)
        self.assertIn("1 success", result.stdout)

    def test_a_spec_that_never_ends_can_be_interrupted(self):
        self.write("endless_spec.lua", 'io.stderr:write "ready\\n" '
                   'while true do end')
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([PROGRAM, "test", "endless_spec.lua"],
                                  cwd=self.directory, text=True,
                                  stderr=subprocess.PIPE) as process:
                self.assertEqual(process.stderr.readline(), "ready\n")
                process.send_signal(number)
                try:
                    self.assertEqual(process.wait(PATIENCE), -number)
                finally:
                    process.kill()

    def test_version_and_help_answer_on_stdout(self):
        self.assertRegex(self.done("version"), r"^linedancer \d+\.\d+\.\d+\n$")
        self.assertEqual(self.done("--version"), self.done("version"))
        self.assertIn("Usage: linedancer COMMAND", self.done("help"))
        self.assertEqual(self.done("--help"), self.done("help"))
        for command in ("run", "check", "test", "version", "help"):
            text = self.done("help", command)
            self.assertIn(f"Usage: linedancer {command}", text)
            self.assertEqual(self.done(command, "--help"), text)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
