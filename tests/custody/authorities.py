"""Local timestamp authorities for tests: `openssl ts` behind a small HTTP server. Their times are worth nothing."""

import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONFIG = """
[req]
distinguished_name = dn
x509_extensions = ca_ext
prompt = no
[dn]
CN = {name}
[ca_ext]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[tsa_ext]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = tsa1
[tsa1]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = {chain}
ess_cert_id_alg = sha256
"""


class OpensslAuthority:
    """A root and a certificate for timestamps of `days`, made by openssl. `root` is the PEM file to trust."""

    def __init__(self, folder: Path, *, name: str = "TEST authority", days: int = 30) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.root = folder, folder / "ca.pem"
        (folder / "serial").write_text("01\n")
        (folder / "ca.cnf").write_text(CONFIG.format(folder=folder, name=f"{name} root", chain="yes"))
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder, name=name, chain="yes"))
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        root = ["-keyout", "ca.key", "-out", "ca.pem", "-days", "60", "-config", "ca.cnf"]
        _openssl("req", "-x509", *key, *root, at=folder)
        _openssl("req", *key, "-keyout", "tsa.key", "-out", "tsa.csr", "-config", "tsa.cnf", at=folder)
        issuer = [
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "tsa.cnf",
            "-extensions",
            "tsa_ext",
        ]
        _openssl("x509", "-req", "-in", "tsa.csr", *issuer, "-out", "tsa.pem", "-days", str(days), at=folder)

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query.tsq").write_bytes(query)
        _openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr", at=self.folder)
        return (self.folder / "reply.tsr").read_bytes()

    def query(self, data: bytes, *options: str) -> bytes:
        (self.folder / "data").write_bytes(data)
        _openssl("ts", "-query", "-data", "data", "-sha512", "-cert", *options, "-out", "own.tsq", at=self.folder)
        return (self.folder / "own.tsq").read_bytes()

    def verifies(self, data: bytes, response: bytes) -> bool:
        """Whether openssl, too, takes the response for a timestamp of the data."""
        (self.folder / "data").write_bytes(data)
        (self.folder / "response.tsr").write_bytes(response)
        argv = ["openssl", "ts", "-verify", "-data", "data", "-in", "response.tsr", "-CAfile", "ca.pem"]
        return subprocess.run(argv, cwd=self.folder, capture_output=True).returncode == 0


def _openssl(*arguments: str, at: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=at, check=True, capture_output=True, timeout=60)


@contextmanager
def serving(
    answer: Callable[[bytes], bytes], *, status: int = 200, type: str = "application/timestamp-reply", port: int = 0
) -> Iterator[str]:
    """An HTTP server that gives the answer to every question: its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            data = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsr"
    finally:
        server.shutdown()
        server.server_close()
