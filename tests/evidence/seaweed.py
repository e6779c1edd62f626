"""A SeaweedFS cluster of its own for a session: a master, three volume servers that keep everything twice, filer, S3.

Every process is killed when the cluster is closed, and by the kernel when the process that started it dies.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from botocore.config import Config
from botocore.session import Session

from archive import processes

WEED = Path(sys.executable).parent / "weed"
READY_SECONDS = 60.0
STOP_SECONDS = 10.0
HOST = "127.0.0.1"
VOLUME_SERVERS = 3
PORTS = range(12_000, 32_000)  # below those that the kernel gives to clients


class NotReady(Exception):
    """The cluster did not start in time; the end of each log says why."""


class Cluster:
    """The processes, and how an S3 client reaches them."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="sanad-weed-"))
        self.access_key, self.secret_key = secrets.token_hex(8), secrets.token_hex(16)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}
        self._buckets: set[str] = set()

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.ports['s3']}"

    def client(self, endpoint: str = "") -> Any:
        """A client of the tests' own, which asks as a stranger would."""
        return Session().create_client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30),
        )

    def start(self) -> Self:
        """Start everything and wait until an object can be written. Raises NotReady."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def kill_volume_server(self, number: int) -> None:
        """SIGKILL, as a machine that loses power."""
        process = self.processes[f"volume{number}"]
        process.kill()
        process.wait(STOP_SECONDS)

    def start_volume_server(self, number: int) -> None:
        """Start one (again), on the folder it had."""
        name = f"volume{number}"
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        port, grpc = self._port(name), self._port(f"{name}.grpc")
        arguments = [f"-port={port}", f"-port.grpc={grpc}", f"-dir={folder}", f"-mserver={self._master()}", "-max=500"]
        self._run(name, "volume", *arguments, "-minFreeSpace=1")

    def bucket(self, name: str, *, lock: bool = False) -> str:
        """A bucket, made when it is asked for first; with `lock` one with versions and Object Lock."""
        if name not in self._buckets:
            self.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
            self._buckets.add(name)
        return name

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait(STOP_SECONDS)
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(self) -> None:
        (self.home / "master").mkdir()
        (self.home / "filer").mkdir()
        master, grpc = self._port("master"), self._port("master.grpc")
        places = [f"-port={master}", f"-port.grpc={grpc}", f"-mdir={self.home / 'master'}"]
        self._run("master", "master", *places, "-volumeSizeLimitMB=64", "-defaultReplication=001", "-telemetry=false")
        self._wait(self._leads)  # whoever asks earlier asks again after five seconds
        for number in range(VOLUME_SERVERS):
            self.start_volume_server(number)
        filer, grpc = self._port("filer"), self._port("filer.grpc")
        places = [f"-port={filer}", f"-port.grpc={grpc}", f"-defaultStoreDir={self.home / 'filer'}"]
        self._run("filer", "filer", *places, f"-master={self._master()}", "-defaultReplicaPlacement=001", "-iam=false")
        config = self.home / "s3.json"
        keys = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        config.write_text(json.dumps({"identities": [{"name": "archive", "credentials": keys, "actions": ["Admin"]}]}))
        port, grpc = self._port("s3"), self._port("s3.grpc")
        address = f"-filer={HOST}:{filer}.{self.ports['filer.grpc']}"
        self._wait(lambda: self._servers() == VOLUME_SERVERS)
        self._wait(lambda: _listens(filer) and _listens(self.ports["filer.grpc"]))
        address += " -port.iceberg=0 -port.lance=0"  # services with fixed ports, which two clusters would fight for
        self._run(
            "s3", "s3", *address.split(), f"-port={port}", f"-port.grpc={grpc}", f"-config={config}", "-iam=false"
        )
        self._wait(self._writes)

    def _master(self) -> str:
        return f"{HOST}:{self.ports['master']}.{self.ports['master.grpc']}"

    def _leads(self) -> bool:
        with urllib.request.urlopen(f"http://{HOST}:{self.ports['master']}/cluster/status", timeout=2) as answer:
            return bool(json.load(answer).get("IsLeader"))

    def _servers(self) -> int:
        url = f"http://{HOST}:{self.ports['master']}/dir/status"
        with urllib.request.urlopen(url, timeout=2) as answer:
            topology = json.load(answer)["Topology"]
        centers = topology.get("DataCenters") or []
        return sum(len(rack["DataNodes"]) for center in centers for rack in center["Racks"])

    def _writes(self) -> bool:
        client = self.client()
        if not any(bucket["Name"] == "ready" for bucket in client.list_buckets()["Buckets"]):
            client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        return bool(client.get_object(Bucket="ready", Key="ready")["Body"].read() == b"ready")

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline, problem = time.monotonic() + READY_SECONDS, ""
        while time.monotonic() < deadline:
            try:
                if ready():
                    return
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended:
                problem = f"ended by itself: {', '.join(ended)}"
                break
            time.sleep(0.2)
        logs = "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(self.home.glob("*.log")))
        raise NotReady(f"{problem}\n{logs}")

    def _run(self, name: str, command: str, *arguments: str) -> None:
        argv = [str(WEED), command, f"-ip={HOST}", *arguments]
        if command == "s3":
            argv = [str(WEED), command, f"-ip.bind={HOST}", *arguments]
        else:
            argv.insert(3, f"-ip.bind={HOST}")
        with (self.home / f"{name}.log").open("ab") as log:
            environ = os.environ | {"WEED_MASTER_VOLUME_GROWTH_COPY_2": "2"}
            self.processes[name] = processes.start(
                argv, environ=environ, when_orphaned=signal.SIGKILL, output=log, cwd=self.home
            )

    def _port(self, name: str) -> int:
        """The port of a name, for as long as the cluster lives."""
        while name not in self.ports:
            port = PORTS.start + secrets.randbelow(len(PORTS))
            with socket.socket() as probe, suppress(OSError):
                probe.bind((HOST, port))
                if port not in self.ports.values():
                    self.ports[name] = port
        return self.ports[name]


def _listens(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=1):
        return True
