#!/usr/bin/python3
"""The runner of the documentation fails where a page is wrong, and says where;
and it leaves nothing behind."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

RUN = pathlib.Path(__file__).parent / "run.py"


def block(info, *lines):
    return "\n".join([f"```{info}", *lines, "```", ""])


def run(*parts, **variables):
    """(exit status, output) of a page of PARTS below a heading, which is
    the first line."""
    with tempfile.TemporaryDirectory() as directory:
        page = pathlib.Path(directory) / "page.md"
        page.write_text("# A page\n" + "".join(parts))
        result = subprocess.run([RUN, page], capture_output=True, text=True,
                                env={**os.environ, **variables}, timeout=60)
        printed = result.stdout.replace(str(page), "page.md")
        return result.returncode, printed + result.stderr


class Good(unittest.TestCase):
    def good(self, *parts):
        self.assertEqual(run(*parts), (0, "page.md: good\n"))

    def test_files_are_written_with_their_directories(self):
        self.good(block("conf file=a/b.conf", "x = 1"),
                  block("sh", "cat a/b.conf"),
                  block("text output", "x = 1"))

    def test_variables_and_jobs_persist(self):
        self.good(block("sh", "word=hello", "sleep 1000 &"),
                  block("sh", "echo $word", "kill %1"),
                  block("text output", "hello"))

    def test_a_page_may_keep_files_open(self):
        self.good(block("sh", "exec 3>a 4>b 5>c 6>d 7>e"),
                  block("sh", "echo x >&3; echo y >&6; cat a d"),
                  block("text output", "x", "y"))

    def test_dots_stand_for_anything(self):
        self.good(block("sh", "echo one 2 three; echo 4; echo 5; echo six"),
                  block("text output", "one ... three", "...", "six"),
                  block("sh", "echo one; echo six"),
                  block("text output", "one", "...", "six"))

    def test_output_holds_both_streams(self):
        self.good(block("sh", "echo out; echo err >&2"),
                  block("text output", "out", "err"))

    def test_lua_has_the_modules_and_what_the_page_wrote(self):
        self.good(block("lua file=double.lua", "return function(x)",
                        "  return 2 * x", "end"),
                  block("lua", 'local double = require "double"',
                        "assert.equal(4, double(2))",
                        'assert.equal("\\0\\1", ld.format(">I2"):pack(1))',
                        'local run = t.play(require "handlers.echo", '
                        '{ "hi", t.eof })', "print(run.sent)"),
                  block("text output", "hi"))

    def test_an_error_may_be_described(self):
        self.good(block("lua error", 'error "no"'),
                  block("text output", "no"), block("lua error", "error {}"))

    def test_the_program_is_found(self):
        self.good(block("sh", "linedancer version"),
                  block("text output", "linedancer ..."))

    def test_blocks_in_lists_are_run_and_diagrams_are_not(self):
        self.good("1. first\n\n   ```sh\n   cat <<END\n   x\n   END\n   ```\n",
                  block("text output", "x"), block("diagram", "-->"))

    def test_an_installed_package_is_found(self):
        self.good(block("c file=x.c", "#include <linedancer.h>",
                        "int main(void) { ld_gateway_free(0); return 0; }"),
                  block("sh", "cc x.c $(pkg-config --cflags --libs linedancer)",
                        "./a.out"))

    def test_a_page_has_all_ports(self):
        with_port = block("sh", "timeout 9 nc -l 127.0.0.1 7000 >got &",
                          "until echo hi | nc -N 127.0.0.1 7000; do",
                          "  sleep 0.05", "done", "wait", "cat got")
        self.good(with_port, block("text output", "hi"))


class Bad(unittest.TestCase):
    def bad(self, line, said, *parts, **variables):
        status, printed = run(*parts, **variables)
        self.assertEqual(status, 1, printed)
        self.assertTrue(printed.startswith(f"page.md:{line}: "), printed)
        self.assertIn(said, printed)

    def test_a_wrong_output(self):
        self.bad(5, "-two\n+one\n", block("sh", "echo one"),
                 block("text output", "two"))

    def test_more_output_than_the_page_says(self):
        self.bad(5, "+two\n", block("sh", "echo one; echo two"),
                 block("text output", "one"))

    def test_code_by_its_indent(self):
        self.bad(4, "fence it", "Text:\n\n    linedancer version\n")

    def test_a_shell_that_fails(self):
        self.bad(5, "exits with 7; it printed\nhello", block("sh", "true"),
                 block("sh", "echo hello", "(exit 7)", "echo no"))

    def test_a_pipe_that_fails_and_a_variable_that_is_not_set(self):
        self.bad(2, "exits with 1", block("sh", "false | true"))
        self.bad(2, "unbound variable", block("sh", "echo $nothing"))

    def test_a_shell_that_ends_before_its_time(self):
        self.bad(2, "ends the shell", block("sh", "exit 0"))

    def test_a_block_that_hangs(self):
        self.bad(2, "takes longer than 0.5 s; it printed\nhi",
                 block("sh", "echo hi; sleep 1000"), DOCS_PATIENCE="0.5")
        self.bad(2, "takes longer", block("lua", "while true do end"),
                 DOCS_PATIENCE="0.5")

    def test_unknown_info_strings(self):
        self.bad(2, "cannot be ```console", block("console", "$ ls"))
        self.bad(2, "cannot be ```", block("", "ls"))
        self.bad(2, "cannot be ```sh ", block("sh x", "ls"))
        self.bad(2, "cannot be ```python", block("python", "1"))

    def test_lua_that_raises(self):
        self.bad(2, "page.md:5: attempt to", block("lua", "", "local x",
                                                   "print(x.y)"))

    def test_lua_with_an_assertion_that_does_not_hold(self):
        self.bad(2, "Expected objects to be", block("lua",
                                                    "assert.equal(1, 2)"))

    def test_an_error_that_is_not_raised(self):
        self.bad(2, "nothing was raised", block("lua error", "print(1)"))

    def test_another_error_than_the_page_says(self):
        self.bad(5, "-yes\n+no\n", block("lua error", 'error "no"'),
                 block("text output", "yes"))

    def test_lua_with_a_wrong_syntax_is_no_error_of_the_kind(self):
        self.bad(2, "unexpected symbol", block("lua error", "?"))

    def test_output_of_nothing(self):
        self.bad(2, "output of what?", block("text output", "x"))
        self.bad(5, "output of what?", block("diagram", "x"),
                 block("text output", "x"))

    def test_a_file_elsewhere(self):
        self.bad(2, "outside", block("lua file=../x.lua", ""))
        self.bad(2, "outside", block("lua file=/tmp/x.lua", ""))

    def test_what_is_hidden_or_has_no_end(self):
        self.bad(2, "a comment", "<!-- sh -->\n")
        self.bad(2, "has no end", "```sh\nls\n")


class Leftovers(unittest.TestCase):
    def test_processes_end_with_their_page(self):
        with tempfile.TemporaryDirectory() as directory:
            pids = pathlib.Path(directory) / "pids"
            status, printed = run(block(
                "sh", "sleep 1000 &", f"echo $! >{pids}",
                f"(setsid sleep 1000 & echo $! >>{pids})",
                f"(trap '' TERM; exec sleep 1000) & echo $! >>{pids}"))
            self.assertEqual(status, 0, printed)
            for pid in pids.read_text().split():
                self.assertFalse(pathlib.Path(f"/proc/{pid}").exists(), pid)


if __name__ == "__main__":
    unittest.main()
