"""The verifier that goes into bundles: small, alone, and the same on every Python it promises."""

import ast
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ledger.bundle import MODULES, verifier_archive
from tests.ledger.sample import KINDS, write_bundle

MOST_LINES = 1500
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
LEDGER = Path(__file__).parent.parent.parent / "ledger"


def members() -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(verifier_archive())) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def pythons() -> list[str]:
    """Every Python of the promised versions on this machine: those of pyenv, and on PATH."""
    found = {sys.executable}
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        candidates = [str(path) for path in sorted(root.glob(f"{version}.*/bin/python"))]
        candidates += filter(None, [shutil.which(f"python{version}")])
        found |= set([python for python in candidates if runs(python)][:1])
    return sorted(found)


def runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def test_it_is_small_enough_to_read() -> None:
    lines = {name: text.count("\n") for name, text in members().items()}
    assert sum(lines.values()) <= MOST_LINES, lines


def test_it_holds_what_verifies_and_nothing_that_writes_or_signs() -> None:
    assert set(members()) == {"__main__.py", *(f"ledger/{module}.py" for module in MODULES)}
    assert {"bundle", "grow", "sign"}.isdisjoint(MODULES)


def test_it_imports_the_standard_library_and_itself_alone() -> None:
    """`cryptography` is taken where it is there, inside a try."""
    allowed = sys.stdlib_module_names | {"ledger", "cryptography"}
    for name, text in members().items():
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] in allowed, name
                if (node.module or "").startswith("ledger."):
                    assert node.module.split(".")[1] in MODULES, (name, node.module)
            elif isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, name


def test_what_is_packed_does_what_the_source_does() -> None:
    """Nothing but docstrings, remarks and empty lines is left out."""
    for name, text in members().items():
        if name.startswith("ledger/"):
            source = (LEDGER / name.removeprefix("ledger/")).read_text()
            assert ast.dump(without_docstrings(text)) == ast.dump(without_docstrings(source)), name


def without_docstrings(text: str) -> ast.Module:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


@pytest.mark.parametrize("python", pythons())
def test_it_runs_alone_on_every_python(python: str, tmp_path: Path) -> None:
    """With the bare interpreter, warnings as errors: the same verdicts on whole and on damaged bundles."""
    verifier = tmp_path / "sanad-verify.pyz"
    verifier.write_bytes(verifier_archive())
    for kind in KINDS:
        write_bundle(tmp_path / kind, kind)
        expected = 1 if kind in ("usurped", "misstated") else 0
        command = [python, "-I", "-S", "-W", "error", str(verifier), "verify", str(tmp_path / kind)]
        told = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
        assert (told.returncode, told.stderr) == (expected, ""), (kind, told.stdout)
    (tmp_path / "plain/data/ledger/checkpoint").write_bytes(b"x")
    command = [python, "-I", "-S", str(verifier), "verify", "--json", str(tmp_path / "plain")]
    told = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert (told.returncode, told.stderr) == (1, "")
    assert '"code": "checkpoint-malformed"' in told.stdout
