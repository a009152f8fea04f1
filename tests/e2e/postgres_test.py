#!/usr/bin/python3
"""The gateway before PostgreSQL of examples/embed/postgres, between a server
and its own clients."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import psycopg2
import psycopg2.errors
import psycopg2.extensions

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_all, reset
from support.gateway import BUILD, PATIENCE, SOURCE, Gateway, until
from support.pki import Pki
from support.postgres import PASSWORD, Postgres, client, free_port

EXAMPLE = SOURCE / "examples/embed/postgres"
SCRIPT = r"""
\set VERBOSITY verbose
create temp table t (id int primary key, word text);
insert into t select i, 'word ' || i from generate_series(1, 1000) i;
select 1 as a; select 2 as b;
select 1 \; select 'x' \; select * from t where id < 4 order by id;
select 1 / 0;
select * from nowhere;
insert into t values (1, 'again');
begin; select 1 / 0; select 'not run'; rollback;
copy t from stdin;
2001	one
2002	two
\.
copy t from stdin;
not a number	three
\.
copy (select * from t order by id) to stdout;
select i, repeat('x', i % 500) from generate_series(1, 20000) i;
select repeat('y', 3000000);
do $$ begin raise notice 'a notice'; end $$;
prepare p(int) as select word from t where id = $1;
execute p(7); execute p(2002);
;
select count(*), sum(id) from t;
"""


def last_words(connection):
    """What CONNECTION, of psycopg2's, has been told when it was ended."""
    with socket.socket(fileno=os.dup(connection.fileno())) as sock:
        sock.settimeout(PATIENCE)
        return read_all(sock)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres()
        cls.addClassCleanup(cls.server.close)
        made = client(cls.server.port, "pgbench", "-i", "-q", "-s", "1")
        assert made.returncode == 0, made.stderr

    def gateway(self, listener=None, workers=0, **options):
        """One with OPTIONS of gate.lua."""
        options.setdefault("upstream", self.server.address)
        gateway = Gateway({"handler": str(EXAMPLE / "gate.lua"),
                           "options": options, **(listener or {})},
                          workers=workers)
        self.addCleanup(gateway.close)
        return gateway

    def connect(self, port, **more):
        """A connection of psycopg2's, that commits each statement."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=port, user="ann", dbname="postgres",
            password=PASSWORD, connect_timeout=PATIENCE, **more)
        self.addCleanup(connection.close)
        connection.autocommit = True
        return connection

    def backends(self):
        """How many others the server serves."""
        done = client(self.server.port, "psql", "-At", "-c",
                      "select count(*) from pg_stat_activity where backend_type"
                      " = 'client backend' and pid <> pg_backend_pid()")
        return int(done.stdout)


class Results(Case):
    def test_psql_gets_what_it_gets_from_the_server(self):
        """Results, errors with all their fields, copies both ways, large rows
        and several statements in one message are passed on unchanged."""
        port = self.gateway(slow=1e9).port()
        direct, through = (client(p, "psql", "-X", "-a", "-f", "-",
                                  stdin=SCRIPT)
                           for p in (self.server.port, port))
        self.assertEqual(direct.returncode, 0)
        self.assertIn("22012", direct.stderr)
        self.assertIn("x" * 499, direct.stdout)
        self.assertTrue(through.stdout == direct.stdout)
        self.assertEqual(through.stderr, direct.stderr)

    def test_pgbench_loses_no_transaction(self):
        """Under many clients, in each of the protocol's modes, every
        transaction is done once: the sums of TPC-B agree."""
        port = self.gateway(slow=1e9, rate=1e6, burst=1e6).port()
        count = 0
        for mode in ("simple", "extended", "prepared"):
            for kind in ("-S", "-N", "-b tpcb-like"):
                done = client(port, "pgbench", "-n", *kind.split(), "-M", mode,
                              "-c", "8", "-t", "50")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("failed transactions: 0 ", done.stdout)
                self.assertIn("actually processed: 400/400", done.stdout)
                count += 0 if kind == "-S" else 400
        sums = client(
            port, "psql", "-At", "-c",
            "select count(*), sum(delta) = (select sum(abalance) from "
            "pgbench_accounts), (select sum(bbalance) from pgbench_branches) ="
            " (select sum(tbalance) from pgbench_tellers) from pgbench_history")
        self.assertEqual(sums.stdout, f"{count}|t|t\n")

    def test_psycopg2_copies_in_and_out(self):
        """A copy of several megabytes comes back as it went, and one that
        the client breaks off leaves the connection usable."""
        connection = self.connect(self.gateway(slow=1e9).port())
        cursor = connection.cursor()
        cursor.execute("create temp table c (id int, body text)")
        text = "".join(f"{i}\t{'z' * (i % 300)}\n" for i in range(30000))
        with tempfile.TemporaryFile("w+") as file:
            file.write(text)
            file.seek(0)
            cursor.copy_expert("copy c from stdin", file)
        with tempfile.TemporaryFile("w+") as file:
            cursor.copy_expert("copy (select * from c order by id) to stdout",
                               file)
            file.seek(0)
            self.assertTrue(file.read() == text)

        class Broken:
            def read(self, _):
                raise ValueError("no more")
        with self.assertRaises(psycopg2.errors.QueryCanceled):
            cursor.copy_expert("copy c from stdin", Broken())
        cursor.execute("select count(*) from c")
        self.assertEqual(cursor.fetchone(), (30000,))

    def test_a_cursor_reads_a_result_in_parts(self):
        connection = self.connect(self.gateway().port())
        connection.autocommit = False
        with connection.cursor("named") as cursor:
            cursor.itersize = 1000
            cursor.execute("select generate_series(1, 5500)")
            self.assertEqual(sum(1 for _ in cursor), 5500)

    def test_over_tls_when_the_listener_has_a_certificate(self):
        """A client that insists on TLS gets it, or is refused."""
        own = Pki.of_tests(self).make("server", "localhost")
        gateway = self.gateway(listener={"tls": {**own, "on_demand": True}},
                               tls=True)
        done = client(gateway.port(), "psql", "-At", "-c", "select 42",
                      PGSSLMODE="require")
        self.assertEqual((done.stdout, done.stderr), ("42\n", ""))
        done = client(self.gateway().port(), "psql", "-At", "-c", "select 42",
                      PGSSLMODE="require")
        self.assertIn("server does not support SSL", done.stderr)


class Log(Case):
    def lines(self, gateway, count):
        """The fields of COUNT statements, the first ones in the log."""
        gateway.await_line(" statement ", count - 1)
        return [dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))
                for line in gateway.lines if line and " statement " in line]

    def test_statements_are_logged_with_what_came_of_them(self):
        """Who, what, how many rows and which error; never a password."""
        gateway = self.gateway(statement=40)
        cursor = self.connect(gateway.port()).cursor()
        cursor.execute("select generate_series(1, 3)")
        with self.assertRaises(psycopg2.errors.UndefinedTable):
            cursor.execute("select * from nowhere")
        cursor.execute("create role bob password 'hush hush'")
        cursor.execute("drop role bob")
        cursor.execute("select 1; values (1), (2)")
        cursor.execute("select '" + "\u00e4" * 100 + "'")
        found = self.lines(gateway, 6)
        for line in found:
            self.assertEqual((line["user"], line["database"]),
                             ("ann", "postgres"))
            self.assertRegex(line["ms"], r"^\d+\.\d+$")
        said = [(line["statement"], line["rows"], line.get("sqlstate"))
                for line in found]
        self.assertEqual(said, [
            ('"select generate_series(1, 3)"', "3", None),
            ('"select * from nowhere"', "0", "42P01"),
            ('"create role (a password)"', "0", None),
            ('"drop role bob"', "0", None),
            ('"select 1; values (1), (2)"', "3", None),
            ('"select \'' + "\u00e4" * 16 + '..."', "1", None)])
        self.assertNotIn("hush", gateway.log())
        self.assertNotIn(PASSWORD, gateway.log())

    def test_of_prepared_statements_no_values_are_logged(self):
        gateway = self.gateway()
        done = client(gateway.port(), "pgbench", "-n", "-b", "tpcb-like", "-M",
                      "prepared", "-t", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = [line["statement"] for line in self.lines(gateway, 14)]
        updates = [text for text in found if "UPDATE pgbench_tellers" in text]
        self.assertEqual(updates, ['"UPDATE pgbench_tellers SET tbalance = '
                                   'tbalance + $1 WHERE tid = $2;"'] * 2)

    def test_only_what_is_slow_or_fails_when_asked_for(self):
        gateway = self.gateway(slow=100)
        cursor = self.connect(gateway.port()).cursor()
        cursor.execute("select 'quick'")
        cursor.execute("select pg_sleep(0.15)")
        with self.assertRaises(psycopg2.errors.DivisionByZero):
            cursor.execute("select 1 / 0")
        self.assertEqual([line["statement"]
                          for line in self.lines(gateway, 2)],
                         ['"select pg_sleep(0.15)"', '"select 1 / 0"'])


class Limit(Case):
    def await_refusals(self, gateway, count):
        """Lines of the log come when the client has its answer already."""
        until(lambda: gateway.count("sqlstate=53400") >= count, "the refusals")
        self.assertEqual(gateway.count("sqlstate=53400"), count)

    def test_who_exceeds_it_waits(self):
        """All statements are run, those beyond the burst after a wait."""
        gateway = self.gateway(rate=100, burst=3)
        cursor = self.connect(gateway.port()).cursor()
        for i in range(9):
            cursor.execute("select %s", (i,))
            self.assertEqual(cursor.fetchone(), (i,))
        until(lambda: gateway.count(r"waited=\d"), "a line of who waited")

    def test_who_exceeds_it_is_refused(self):
        """With an error of its own; the connection goes on, other users are
        not concerned, and a transaction has failed, as the server knows."""
        gateway = self.gateway(rate=1e-6, burst=4, over="error")
        connection = self.connect(gateway.port())
        cursor = connection.cursor()
        connection.autocommit = False
        cursor.execute("create temp table t (i int)")  # and a BEGIN: 2 of 4
        for number in (1, 2):
            cursor.execute("insert into t values (%s)", (number,))
        with self.assertRaises(psycopg2.errors.ConfigurationLimitExceeded):
            cursor.execute("insert into t values (3)")
        status = psycopg2.extensions.TRANSACTION_STATUS_INERROR
        self.assertEqual(connection.get_transaction_status(), status)
        connection.rollback()
        for _ in range(3):
            with self.assertRaises(psycopg2.errors.ConfigurationLimitExceeded):
                cursor.execute("select 1")
            connection.rollback()
        self.await_refusals(gateway, 4)
        self.connect(self.server.port).cursor().execute("create role bob login")
        self.addCleanup(lambda: self.connect(self.server.port).cursor().execute(
            "drop role bob"))
        done = client(gateway.port(), "psql", "-c", "select 1", PGUSER="bob")
        self.assertIn("password authentication failed", done.stderr)

    def test_the_extended_protocol_stays_in_step(self):
        """A refused Execute fails as one that the server refuses does."""
        gateway = self.gateway(rate=1e-6, burst=3, over="error")
        done = client(gateway.port(), "pgbench", "-n", "-S", "-M", "prepared",
                      "-t", "10")
        self.assertEqual(done.returncode, 2)
        self.assertIn("too many statements", done.stderr)
        self.await_refusals(gateway, 1)
        self.assertNotIn("unexpected", done.stderr)


class Ends(Case):
    def test_a_statement_is_cancelled(self):
        """The request comes by a connection of its own, without a user."""
        for workers in (0, 2):
            gateway = self.gateway(workers=workers)
            connection = self.connect(gateway.port())
            failure = []

            def run(cursor):
                try:
                    cursor.execute("select pg_sleep(60)")
                except psycopg2.Error as error:
                    failure.append(error)
            thread = threading.Thread(target=run, args=[connection.cursor()])
            thread.start()
            self.await_sleep()
            connection.cancel()
            thread.join(PATIENCE)
            self.assertIsInstance(failure[0], psycopg2.errors.QueryCanceled)
            cursor = connection.cursor()
            cursor.execute("select 1")
            self.assertEqual(cursor.fetchone(), (1,))

    def await_sleep(self):
        until(lambda: client(
            self.server.port, "psql", "-At", "-c",
            "select count(*) from pg_stat_activity where state = 'active' and "
            "query like 'select pg_sleep(60)%'").stdout == "1\n")

    def test_a_client_that_is_lost_frees_its_backend(self):
        """However it goes: reset when idle, or in the middle of a message."""
        gateway = self.gateway()
        for tail in (b"", b"Q\0\0\xff\xffselect"):
            connection = self.connect(gateway.port())
            until(lambda: self.backends() == 1)
            sock = connect(gateway.address())
            os.dup2(connection.fileno(), sock.fileno())
            sock.sendall(tail)
            reset(sock)
            os.dup2(os.open(os.devnull, os.O_RDWR), connection.fileno())
            until(lambda: self.backends() == 0)

    def test_nonsense_is_refused(self):
        gateway = self.gateway()
        for text in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\7abcd",
                     b"\0\0\0\x08\x04\xd2\x16\x2f" * 2,
                     b"\0\0\0\x09\0\3\0\0\0", b"\0\0\0\x08\0\2\0\0"):
            with connect(gateway.address()) as sock:
                sock.sendall(text)
                self.assertRegex(read_all(sock), b"(?s)C(08P01|28000)\0")

    def test_a_server_that_is_restarted(self):
        """Its clients are told so; meanwhile others learn that it is not
        there, in a way that pg_isready understands; then all goes on."""
        gateway = self.gateway(upstream=self.server.address)
        cursor = self.connect(gateway.port()).cursor()
        cursor.execute("select 1")
        self.assertEqual(client(gateway.port(), "pg_isready").returncode, 0)
        self.server.stop()
        try:
            self.assertIn(b"C57P01\0", last_words(cursor.connection))
            done = client(gateway.port(), "psql", "-c", "select 1")
            self.assertIn("FATAL:  the database server cannot be reached",
                          done.stderr)
            self.assertEqual(client(gateway.port(), "pg_isready").returncode, 1)
        finally:
            self.server.start()
        cursor = self.connect(gateway.port()).cursor()
        cursor.execute("select 1")

    def test_while_it_drains_clients_leave_between_transactions(self):
        gateway = self.gateway()
        idle = self.connect(gateway.port())
        busy = self.connect(gateway.port())
        busy.autocommit = False
        cursor = busy.cursor()
        cursor.execute("select 1")
        gateway.signal(signal.SIGTERM)
        gateway.await_line("draining")
        self.assertIn(b"C57P01\0", last_words(idle))
        cursor.execute("select 2")
        self.assertEqual(cursor.fetchone(), (2,))
        busy.commit()
        self.assertEqual(gateway.wait(), 0)


class Program(Case):
    """pggate: built against an installed prefix, as its users do."""

    def start(self, *options):
        prefix = pathlib.Path(tempfile.mkdtemp(prefix="ld-pggate-"))
        self.addCleanup(shutil.rmtree, prefix)
        for command in (
                ["cmake", "--install", BUILD, "--prefix", prefix],
                ["cp", "-r", EXAMPLE, prefix / "pggate"],
                ["make", "-s", "-C", prefix / "pggate", "CFLAGS=-O0 -Werror",
                 f"PKG_CONFIG_PATH={prefix}/lib/pkgconfig"]):
            done = subprocess.run(command, capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        program = prefix / "pggate/pggate"
        self.port = free_port()
        process = subprocess.Popen(
            [program, "--listen", f"127.0.0.1:{self.port}", "--upstream",
             self.server.address, *options],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return program, process

    def summary(self, process, read, statements):
        """One that counts STATEMENTS: they are counted after they are logged."""
        def ask():
            process.send_signal(signal.SIGUSR1)
            summary = read()
            return summary if summary["statements"] >= statements else None
        return until(ask, "a summary of all")

    def test_it_logs_json_and_sums_up(self):
        """Each line is an object; the summary counts what was run, when it
        is asked for and at the end."""
        program, process = self.start("--slow", "0")
        read = lambda: json.loads(process.stdout.readline())
        self.assertEqual(read()["event"], "listening")
        done = client(self.port, "psql", "-At", "-c", "select 'a \"b\" \\ c=d'",
                      "-c", "select 1 / 0", "-c", "values (1), (2)")
        self.assertIn("division by zero", done.stderr)
        said = [read() for _ in range(3)]
        self.assertEqual([line["statement"] for line in said],
                         ["select 'a \"b\" \\ c=d'", "select 1 / 0",
                          "values (1), (2)"])
        self.assertEqual([line.get("sqlstate") for line in said],
                         [None, "22012", None])
        summary = self.summary(process, read, 3)
        self.assertEqual([summary[key] for key in (
            "event", "user", "statements", "errors", "rows")],
            ["summary", "ann", 3, 1, 3])
        self.assertLessEqual(summary["p50_ms"], summary["p99_ms"])
        process.terminate()
        events = [json.loads(line) for line in process.stdout]
        self.assertEqual(events[-1], summary)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.refuses(program)

    def refuses(self, program):
        for options in (["--burst", "0"], ["--rate", "x"], ["--over", "all"],
                        ["more"], ["--what"]):
            done = subprocess.run([program, *options], capture_output=True,
                                  text=True, timeout=PATIENCE, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), options)
        done = subprocess.run([program, "--listen", f"127.0.0.1:{self.server.port}"],
                              capture_output=True, text=True, timeout=PATIENCE,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)
        done = subprocess.run([program, "--listen", '"'], capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("""address '"' lacks the port""", done.stderr)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
