"""A publisher and its viewer, who are served all the while."""
import struct
import threading
import time

from support import rtmp


class Pair:
    """A publisher and its viewer, who must miss nothing.  In a thread; use as
    a context manager."""

    def __init__(self, address):
        self.publisher = rtmp.Client(address).publish("pair")
        self.viewer = rtmp.Client(address).play("pair")
        self.publisher.headers()
        self.count, self.stopped, self.error = 0, False, None
        self.thread = threading.Thread(target=self.go, daemon=True)

    def go(self):
        try:
            while not self.stopped:
                body = struct.pack(">I", self.count)
                wrap = rtmp.frame if self.count % 25 else rtmp.key_frame
                self.publisher.video(self.count, wrap(body))
                got = self.viewer.next_video()
                if got.body[5:] != body:
                    raise AssertionError(f"{got} instead of {self.count}")
                self.count += 1
                time.sleep(0.002)  # leave the processor to the others
        except Exception as error:
            self.error = error

    def more(self):
        goal = self.count + 3
        while self.count < goal and self.thread.is_alive():
            self.thread.join(0.002)
        if self.error:
            raise self.error

    def __enter__(self):
        self.thread.start()
        self.more()
        return self

    def __exit__(self, *rest):
        self.stopped = True
        self.thread.join()
        self.publisher.close()
        self.viewer.close()
