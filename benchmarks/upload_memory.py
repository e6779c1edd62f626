"""Peak memory and speed of one large upload through the real web server.

    python benchmarks/upload_memory.py [--gib 4] [--kind random|zeros] [--port 8799] [--limit-mib 150]

Starts an archive of its own in a temporary folder, sends one generated file over HTTP, and reads the web server's
VmHWM (peak resident memory) from /proc before and after. Exits 1 when the peak is above the limit or a digest differs.
"""

import argparse
import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--kind", choices=["random", "zeros"], default="random")
    parser.add_argument("--port", type=int, default=8799)
    parser.add_argument("--limit-mib", type=int, default=150)
    options = parser.parse_args()
    size = int(options.gib * 2**30)
    with tempfile.TemporaryDirectory(prefix="sanad-bench-") as folder:
        data = Path(folder) / "data"
        Path(folder).chmod(0o711)
        command = [sys.executable, "-m", "archive.run", "--data", str(data), "--port", str(options.port), "--empty"]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            wait_for(options.port)
            token, intake = prepare(data)
            web = web_server(server.pid)
            before = peak_mib(web)
            started = time.monotonic()
            status, told, sent = upload(options.port, token, intake, size, options.kind)
            seconds = time.monotonic() - started
            peak = peak_mib(web)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
    print(
        f"status {status}, {size / 2**30:g} GiB of {options.kind} in {seconds:.1f} s, {size / seconds / 1e6:.0f} MB/s"
    )
    print(
        f"peak resident memory of the web server: {before} MiB before, {peak} MiB after, limit {options.limit_mib} MiB"
    )
    same = status == 201 and told["sha256"] == sent
    print("what was sent is what is held" if same else "THE DIGESTS DIFFER")
    return 0 if same and peak <= options.limit_mib else 1


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the archive did not start")


def prepare(data: Path) -> tuple[str, str]:
    """An investigator's token and an open intake, made by the archive's own actions."""
    os.environ |= {"SANAD_DATA": str(data), "SANAD_INSECURE_HTTP": "1", "DJANGO_SETTINGS_MODULE": "archive.settings"}
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from accounts import actions
    from accounts.models import Role, User
    from incidents.actions import open_incident
    from incidents.uploads import announce

    now = timezone.now()
    admin = User.objects.get(username="admin")
    compartment = actions.open_compartment(by=admin, at=now, code="BENCH-1", title="Benchmark")
    by, secret = actions.invite_user(by=admin, at=now, username="bench", display_name="Bench")
    by = actions.accept_invitation(secret=secret, password=uuid4().hex, at=now)
    actions.grant_role(
        by=admin, at=now, user_id=by.pk, role=Role.INVESTIGATOR, compartment_id=compartment.pk, reason="benchmark"
    )
    incident = open_incident(by=by, at=now, compartment_id=compartment.pk, fields={"title": "Benchmark"})
    intake = announce(by=by, at=now, incident=incident, fields={"stance": "context", "reasons": "benchmark"})
    _token, key = actions.issue_token(by=by, at=now, purpose="benchmark", read_only=False, life=timedelta(days=1))
    connection.close()
    return key, str(intake.pk)


def upload(port: int, token: str, intake: str, size: int, kind: str) -> tuple[int, dict[str, str], str]:
    hasher = hashlib.sha256()

    def body() -> Iterator[bytes]:
        left, block = size, bytes(MIB)
        while left > 0:
            piece = (os.urandom(MIB) if kind == "random" else block)[:left]
            left -= len(piece)
            hasher.update(piece)
            yield piece

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    connection.request(
        "PUT",
        "/api/v1/uploads/",
        body=body(),
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Upload-Intake": intake,
            "Upload-Filename": "large.bin",
            "Idempotency-Key": str(uuid4()),
        },
    )
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), hasher.hexdigest()


def web_server(supervisor: int) -> list[int]:
    """The processes of granian below the supervisor."""
    found, children = [], {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
        except OSError:
            continue
    waiting = [supervisor]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        if b"granian" in Path(f"/proc/{pid}/cmdline").read_bytes() or _is_child(pid, found, children):
            found.append(pid)
    return found


def _is_child(pid: int, found: list[int], children: dict[int, list[int]]) -> bool:
    return any(pid in children.get(parent, []) for parent in found)


def peak_mib(pids: list[int]) -> int:
    """The largest VmHWM among the processes."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return max(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    sys.exit(main())
