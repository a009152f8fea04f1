"""nginx with its RTMP module, on a free port."""
import pathlib
import shutil
import socket
import subprocess
import tempfile

from support.gateway import until

MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Nginx:
    """Serves APPLICATIONS, the text of their blocks.  Use as a context
    manager."""

    def __init__(self, applications, port=None):
        self.port = port or free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ld-nginx-"))
        config = self.directory / "nginx.conf"
        config.write_text(f"""
            load_module {MODULE};
            daemon off; worker_processes 1; user root;
            pid {self.directory}/pid; error_log {self.directory}/log info;
            events {{ worker_connections 256; }}
            rtmp {{ server {{ listen 127.0.0.1:{self.port};
                chunk_size 4096; {applications} }} }}
        """)
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-c", config, "-p", self.directory],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        until(self.answers, "nginx")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("nginx does not start")
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, path):
        return f"rtmp://127.0.0.1:{self.port}/{path}"

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.close()
