"""Certificates for tests, by openssl."""
import pathlib
import ssl
import subprocess
import tempfile


class Pki:
    """Makes certificates in DIRECTORY."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    @classmethod
    def of_tests(cls, case):
        """One whose directory lives as long as the tests of CASE, a class."""
        directory = tempfile.TemporaryDirectory()
        case.addClassCleanup(directory.cleanup)
        return cls(directory.name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=self.directory,
                       capture_output=True)

    def make(self, name, *hosts, days=30, signer=None):
        """NAME.pem and NAME.key, for HOSTS, signed by SIGNER, or itself."""
        names = ",".join(f"DNS:{host}" for host in hosts) or f"DNS:{name}"
        by = ["-CA", f"{signer}.pem", "-CAkey", f"{signer}.key"] if signer else []
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
                     "-subj", f"/O=Test/CN={name}", "-addext",
                     f"subjectAltName={names}", *by, "-keyout", f"{name}.key",
                     "-out", f"{name}.pem")
        return {"certificate": self.path(f"{name}.pem"),
                "key": self.path(f"{name}.key")}

    def path(self, name):
        return str(self.directory / name)

    def client(self, *trusted, identity=None, alpn=()):
        """A context that trusts these certificates, and is IDENTITY."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for name in trusted:
            context.load_verify_locations(self.path(f"{name}.pem"))
        if identity:
            context.load_cert_chain(self.path(f"{identity}.pem"),
                                    self.path(f"{identity}.key"))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context
