#!/usr/bin/python3
"""A stream goes on while the code that serves it is changed."""
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import media
from support.case import Case
from support.control import Control
from support.gateway import SOURCE, Gateway


class Reload(Case):
    def start_gateway(self):
        """With a copy of the handler that can be changed."""
        gateway = self.start(Gateway(
            {"handler": "return require 'handlers.rtmp'"}, workers=2,
            control="control.sock"))
        shutil.copytree(SOURCE / "handlers", gateway.directory / "handlers")
        gateway.await_line("listening .* handler=linedancer.control")
        return gateway

    def test_every_frame_passes_through_twenty_versions(self):
        media.clip()
        gateway = self.start_gateway()
        control = self.start(Control(gateway))
        control("reload")  # from here on it is the copy's
        part = gateway.directory / "handlers/rtmp/chunk.lua"
        url = f"rtmp://127.0.0.1:{gateway.port()}/live/x"
        got = gateway.directory / "x.md5"
        player = self.start(media.player(url, got))
        gateway.await_line(" playing ")
        publisher = self.start(media.publisher(url))
        gateway.await_line(" publishing ")
        for number in range(20):
            part.write_text(part.read_text() + f"-- {number}\n")
            control("reload")
        self.assertEqual(set(control.versions()), {22})
        publisher.wait()
        player.wait()
        self.assertEqual(media.frames_of_player(got),
                         media.frames(media.clip()))


if __name__ == "__main__":
    unittest.main()
