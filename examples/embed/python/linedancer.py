"""Linedancer by ctypes: a gateway in a thread of its own.  See linedancer.h.

    with Gateway() as gateway:
        gateway.add_script("shout", SCRIPT)
        gateway.load_string('return { listen = { { ":7000", handler = "shout" } } }')
        gateway.start()
        gateway.publish("news/today", b"hello")

Functions of Python are called in the gateway's thread: they must not block, and
what they raise is printed.  While Python waits for the gateway, ctypes lets
other threads have the interpreter's lock, so that these calls go on.
"""
import ctypes
import os

LIBRARY = os.environ.get("LINEDANCER", "liblinedancer.so.0")

ERRORS = ("argument config state stopped busy thread forked full timeout "
          "memory system").split()

_LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char),
                        ctypes.c_size_t)
_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_MESSAGE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p,
                            ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)


class _Options(ctypes.Structure):
    _fields_ = [("loop", ctypes.c_void_p), ("log", _LOG),
                ("log_ctx", ctypes.c_void_p)]


class _Stats(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [
        (name, ctypes.c_uint64)
        for name in ("opened", "closed", "accepted", "refused", "handshakes",
                     "lua_bytes", "version")]


def _library():
    """The library, which returns a code from each function named here."""
    lib = ctypes.CDLL(LIBRARY, use_errno=True)
    text, handle = ctypes.c_char_p, ctypes.c_void_p
    for name, *types in (("free",), ("load_file", text),
                         ("load_string", text, text),
                         ("add_script", text, text),
                         ("set_value", text, text), ("start",), ("stop",),
                         ("reload",), ("join", ctypes.c_double),
                         ("port", text), ("call", _WORK, handle,
                                          ctypes.c_double),
                         ("publish", text, text, ctypes.c_size_t),
                         ("subscribe", text, _MESSAGE, handle,
                          ctypes.POINTER(ctypes.c_uint32)),
                         ("unsubscribe", ctypes.c_uint32),
                         ("stats", ctypes.POINTER(_Stats))):
        getattr(lib, "ld_gateway_" + name).argtypes = [handle, *types]
    lib.ld_gateway_new.argtypes = [ctypes.POINTER(_Options)]
    lib.ld_gateway_new.restype = handle
    lib.ld_error_text.restype = text
    lib.ld_version.restype = text
    return lib


_lib = _library()


class Error(Exception):
    """What a function of the library says.  CODE is a word of ERRORS."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = ERRORS[code - 1] if code <= len(ERRORS) else str(code)


def version():
    return _lib.ld_version().decode()


class Gateway:
    """LOG(line) gets what it logs, else standard error does.  Use as a context
    manager, or close() it: its thread calls functions of this object, which
    therefore has to outlive it."""

    def __init__(self, log=None):
        self._listening = {}  # functions that C knows, by id
        self._log = _LOG(0)
        if log:
            self._log = _LOG(lambda _, line, size: log(
                line[:size].decode(errors="replace").rstrip("\n")))
        options = _Options(None, self._log, None)
        self._handle = _lib.ld_gateway_new(ctypes.byref(options))
        if not self._handle:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    def _do(self, name, *arguments):
        code = getattr(_lib, "ld_gateway_" + name)(self._handle, *arguments)
        if code > 0:
            raise Error(code, _lib.ld_error_text().decode(errors="replace"))
        return code

    def load_file(self, path):
        self._do("load_file", os.fsencode(path))

    def load_string(self, config, name="config"):
        self._do("load_string", config.encode(), name.encode())

    def add_script(self, name, script):
        self._do("add_script", name.encode(), script.encode())

    def set_value(self, name, value):
        """host.NAME is VALUE, a string, in the config and in handlers."""
        self._do("set_value", name.encode(), value.encode())

    def start(self):
        self._do("start")

    def stop(self):
        """Drain; called again, end at once."""
        self._do("stop")

    def join(self, seconds=-1):
        """Wait until it has stopped."""
        self._do("join", seconds)

    def reload(self):
        self._do("reload")

    def call(self, function, seconds=10):
        """What FUNCTION() returns, or raises, in the gateway's thread."""
        result = []

        def work(_, __):
            try:
                result.append((function(), None))
            except BaseException as error:
                result.append((None, error))

        self._do("call", _WORK(work), None, seconds)
        value, error = result[0]
        if error:
            raise error
        return value

    def port(self, name):
        """That of listener NAME, which may have been given as 0."""
        def ask():
            port = _lib.ld_gateway_port(self._handle, name.encode())
            if port < 0:
                raise Error(-port, _lib.ld_error_text().decode())
            return port
        return self.call(ask)

    def publish(self, topic, message):
        self._do("publish", topic.encode(), bytes(message), len(message))

    def subscribe(self, pattern, function):
        """Have FUNCTION(topic, message) called; returns an id."""
        heard = _MESSAGE(lambda _, topic, message, size: function(
            topic.decode(errors="replace"), message[:size]))
        number = ctypes.c_uint32()
        self.call(lambda: self._do("subscribe", pattern.encode(), heard, None,
                                   ctypes.byref(number)))
        self._listening[number.value] = heard
        return number.value

    def unsubscribe(self, number):
        self.call(lambda: self._do("unsubscribe", number))
        del self._listening[number]

    def stats(self):
        stats = _Stats(size=ctypes.sizeof(_Stats))
        self._do("stats", ctypes.byref(stats))
        return {name: getattr(stats, name) for name, _ in _Stats._fields_[1:]}

    def close(self):
        """End all at once, and wait for its thread.  In a process that was
        forked, leave the gateway to the one that it is of."""
        if not self._handle:
            return
        try:
            self._do("free")
        except Error as error:
            if error.code != "forked":
                raise
        self._handle = None
        self._listening.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
