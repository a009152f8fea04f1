#!/usr/bin/python3
"""The rtmp handler beside nginx-rtmp: each pushes to the other, and pulls."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import media, rtmp
from support.case import Case
from support.gateway import until
from support.nginx_rtmp import Nginx, free_port

PLAIN = "live on; publish_notify on; meta copy;"


class Relay(Case):
    def url(self, gateway, name):
        return f"rtmp://127.0.0.1:{gateway.port()}/live/{name}"

    def passes(self, gateway, source, target, played=None):
        """What is published at SOURCE comes whole to who plays TARGET."""
        file = gateway.directory / "got.md5"
        player = self.start(media.player(target, file))
        played()
        self.start(media.publisher(source)).wait()
        player.wait()
        got, want = media.frames_of_player(file), media.frames(media.clip())
        self.assertGreater(len(got), 200)
        return got, want

    def test_we_push(self):
        nginx = self.start(Nginx(f"application in {{ {PLAIN} }}"))
        gateway = self.gateway(push={"live/*": nginx.url("in/*")}, grace=1)
        got, want = self.passes(
            gateway, self.url(gateway, "x"), nginx.url("in/x"),
            lambda: until(lambda: b"play: name='x'" in
                          (nginx.directory / "log").read_bytes()))
        self.assertEqual(got, want)

    def test_nginx_pulls_from_us(self):
        port = free_port()
        gateway = self.gateway()
        pull = f"pull {self.url(gateway, '')[:-1]} live=1;"
        # Not "meta copy": it passes on what players get as if a publisher had
        # sent it, without @setDataFrame, which its own players do not take.
        nginx = self.start(Nginx(
            f"application get {{ live on; publish_notify on; {pull} }}", port))
        got, want = self.passes(
            gateway, self.url(gateway, "y"), nginx.url("get/y"),
            lambda: gateway.await_line(" playing .*stream=live/y"))
        self.assertEqual(got, want)

    def test_we_pull(self):
        nginx = self.start(Nginx(f"application src {{ {PLAIN} }}"))
        gateway = self.gateway(pull={"live/*": nginx.url("src/*")})
        got, want = self.passes(
            gateway, nginx.url("src/z"), self.url(gateway, "z"),
            lambda: gateway.await_line(" pulling "))
        self.assertEqual(got, want)

    def test_nginx_pushes_to_us(self):
        gateway = self.gateway()
        push = f"push {self.url(gateway, '')[:-1]};"
        nginx = self.start(Nginx(f"application fwd {{ live on; {push} }}"))
        got, want = self.passes(
            gateway, nginx.url("fwd/w"), self.url(gateway, "w"),
            lambda: gateway.await_line(" playing "))
        # nginx connects while it is published to, and loses what comes
        # meanwhile; from the first picture on all is there.
        first = next(f for f in got if f[0] == 0)
        self.assertIn(first, want)
        self.assertEqual([f for f in got if f[0] == 0],
                         want[want.index(first):want.index(first) + len(
                             [f for f in got if f[0] == 0])])

    def test_a_pull_and_a_push_connect_again(self):
        port = free_port()
        applications = (f"application src {{ {PLAIN} }}"
                        f"application in {{ {PLAIN} }}")
        nginx = Nginx(applications, port)
        gateway = self.gateway(pull={"live/p": nginx.url("src/p")},
                               push={"live/q": nginx.url("in/q")},
                               pull_idle=60)
        publisher = self.start(rtmp.Client(gateway.address()).publish("q"))
        viewer = self.start(rtmp.Client(gateway.address()).play("p"))
        origin = self.start(rtmp.Client(("127.0.0.1", port)).publish(
            "p", app="src"))
        gateway.await_line(" pushing ")
        gateway.await_line(" pulling ")
        origin.headers()
        origin.video(0, rtmp.key_frame(b"one"))
        viewer.until(lambda m: m.body == rtmp.key_frame(b"one"))

        nginx.close()
        gateway.await_line(" pull ended ")
        gateway.await_line(" push ended ")
        nginx = self.start(Nginx(applications, port))
        gateway.await_line(" pushing ", 1)
        gateway.await_line(" pulling ", 1)
        origin = self.start(rtmp.Client(("127.0.0.1", port)).publish(
            "p", app="src"))
        origin.headers()
        origin.video(0, rtmp.key_frame(b"two"))
        viewer.until(lambda m: m.body == rtmp.key_frame(b"two"))
        beyond = self.start(rtmp.Client(("127.0.0.1", port)).play(
            "q", app="in"))
        publisher.headers()
        publisher.video(0, rtmp.key_frame(b"three"))
        beyond.until(lambda m: m.body == rtmp.key_frame(b"three"))


if __name__ == "__main__":
    unittest.main(warnings="ignore")
