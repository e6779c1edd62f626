"""What `sanad upload` refuses before a byte leaves, and what it makes of an archive that lies."""

import hashlib
import json
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sanad_client.cli import main

TOKEN = "sanad_" + "t" * 43
SHA256 = hashlib.sha256(b"evidence").hexdigest()


class Liar(BaseHTTPRequestHandler):
    """Answers like an archive; what it holds in the end is what the test says."""

    item: dict[str, Any] = {}
    lead_to = ""
    heard: list[tuple[str, str, str | None]] = []

    def answer(self, status: int, said: Any = None, **headers: str) -> None:
        body = json.dumps(said).encode() if said is not None else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.heard.append((self.command, self.path, self.headers.get("Authorization")))
        if self.lead_to:
            self.answer(307, Location=self.lead_to)
        elif self.path.startswith("/api/v1/incidents/?"):
            row = {"id": "5b1c4dd3-1b8e-4f3e-9e0e-0d3c8a2f4c11", "code": "I-0001", "compartment": "SY-2025"}
            self.answer(200, {"results": [row], "next": None})
        elif self.path.endswith("/intakes/"):
            self.answer(201, {"intake": "c2a4f1f2-50a5-4a58-8ec5-1c7d5f0a9b10"})
        elif self.command == "POST":
            self.answer(201, Location="/api/v1/uploads/tus/one/", Upload_Offset="8")
        else:
            self.answer(200, {"state": "held", "item": self.item})

    do_GET = do_POST = do_HEAD = do_PATCH = handle_any  # noqa: N815  # the names of the library

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def liar() -> Iterator[type[Liar]]:
    kind: type[Liar] = type("Liar", (Liar,), {"heard": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    kind.url = f"http://localhost:{server.server_port}"  # type: ignore[attr-defined]
    yield kind
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANAD_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = tmp_path / "folder"
    made.mkdir()
    (made / "a.txt").write_bytes(b"evidence")
    return made


def upload(folder: Path, server: str, *more: str) -> int:
    return main(["upload", str(folder), "--server", server, "--incident", "I-0001", "--give-up-after", "0", *more])


def test_a_held_file_with_the_digests_of_the_disk_is_fine(liar: Any, folder: Path) -> None:
    sha512 = hashlib.sha512(b"evidence").hexdigest()
    liar.item = {"accession": "SY-2025-000001", "sha256": SHA256, "sha512": sha512, "size": 8, "duplicate_of": None}
    assert upload(folder, liar.url) == 0


def test_an_archive_that_holds_other_bytes_is_found_out(
    liar: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    liar.item = {"accession": "SY-2025-000001", "sha256": SHA256, "sha512": "0" * 128, "size": 8}
    assert upload(folder, liar.url) == 4
    assert "WHAT ARRIVED DIFFERS" in capsys.readouterr().err


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(liar: Any, folder: Path) -> None:
    elsewhere: type[Liar] = type("Elsewhere", (Liar,), {"heard": []})
    other = ThreadingHTTPServer(("127.0.0.1", 0), elsewhere)
    threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
    liar.lead_to = f"http://127.0.0.1:{other.server_port}/"
    try:
        assert upload(folder, liar.url) == 2
    finally:
        other.shutdown()
        other.server_close()
    assert elsewhere.heard == []
    assert liar.heard[0][2] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "server", ["http://archive.example.org", "http://10.0.0.1:8000", "ftp://localhost", "https://me:secret@example.org"]
)
def test_an_address_without_encryption_or_with_a_secret_is_refused(
    folder: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upload(folder, server) == 2
    said = capsys.readouterr().err
    assert "sanad: " in said
    assert "secret" not in said


def test_a_certificate_that_nobody_vouches_for_ends_it_before_the_token_leaves(folder: Path, tmp_path: Path) -> None:
    kind: type[Liar] = type("Liar", (Liar,), {"heard": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        assert upload(folder, f"https://localhost:{server.server_port}") == 2
    finally:
        server.shutdown()
        server.server_close()
    assert kind.heard == []


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_nothing_that_answers_is_given_up_with_its_own_code(folder: Path) -> None:
    assert upload(folder, "http://localhost:9") == 3


def test_a_token_file_that_others_may_read_is_refused(
    liar: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o640)
    assert upload(folder, liar.url, "--token-file", str(token)) == 2
    assert "chmod 600" in capsys.readouterr().err
    assert liar.heard == []


def test_no_option_takes_a_token(folder: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        upload(folder, "http://localhost:9", "--token", TOKEN)
    assert ended.value.code == 2


def test_receipts_and_state_inside_the_folder_are_refused(folder: Path) -> None:
    assert upload(folder, "http://localhost:9", "--state", str(folder / "state")) == 2
    assert upload(folder, "http://localhost:9", "--receipts", str(folder)) == 2
    assert [path.name for path in folder.iterdir()] == ["a.txt"]


def test_it_installs_from_the_repository_and_runs_without_the_archive(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    source = tmp_path / "client"
    shutil.copytree(pytestconfig.rootpath / "client", source, ignore=shutil.ignore_patterns("__pycache__", "build"))
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, timeout=120)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from sanad_client.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(target), "upload", "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "--token-file" in done.stdout
    loaded = "import sys; sys.path.insert(0, sys.argv[1]); import sanad_client.cli; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", loaded, str(target)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False"
