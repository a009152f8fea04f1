"""What tests of RTMP begin with."""
import unittest

from support import rtmp
from support.gateway import Gateway


class Case(unittest.TestCase):
    """Closes what it starts."""

    def start(self, thing):
        self.addCleanup(thing.close)
        return thing

    def gateway(self, workers=2, **options):
        """One that serves RTMP, with the handler's OPTIONS."""
        return self.start(Gateway({"handler": "rtmp", "options": options},
                                  workers=workers))

    def client(self, gateway, **options):
        return self.start(rtmp.Client(gateway.address(), **options))
