"""The verifier that goes into bundles: small, alone, and the same on every Python it promises."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from ledger.log import PART_TILES
from ledger.merkle import TILE_WIDTH
from ledger.pack import MODULES, verifier_archive
from tests.ledger.sample import KINDS, write_bundle
from tests.ledger.test_log import SIGNER, write
from tests.vectors.bundles import apply, compared_bundle

MOST_LINES = 1500
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
LEDGER = Path(__file__).parent.parent.parent / "ledger"


SOURCES = [(LEDGER / f"{module}.py").read_text() for module in MODULES]


def packed() -> str:
    with zipfile.ZipFile(io.BytesIO(verifier_archive())) as archive:
        assert archive.namelist() == ["__main__.py"]
        return archive.read("__main__.py").decode()


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
    text = packed()
    assert text.count("\n") <= MOST_LINES
    assert max(map(len, text.splitlines())) <= 120


def test_it_holds_what_verifies_and_nothing_that_writes_or_signs() -> None:
    assert {"bundle", "grow", "pack", "sign"}.isdisjoint(MODULES)
    names = {node.name for node in ast.walk(ast.parse(packed())) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert {"verify_bundle", "verify_receipt", "verify_log", "parse_policy", "main"} <= names
    assert {"encode_entry", "format_proof", "format_receipt", "sign_note", "BundleWriter"}.isdisjoint(names)


def test_it_imports_the_standard_library_alone() -> None:
    """`cryptography` is taken where it is there, inside a try."""
    for node in ast.walk(ast.parse(packed())):
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] in sys.stdlib_module_names | {"cryptography"}
        elif isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= sys.stdlib_module_names


def test_its_modules_have_no_name_in_common() -> None:
    """They become one module."""
    seen: dict[str, int] = {}
    for number, source in enumerate(SOURCES):
        for top in ast.parse(source).body:
            targets = (
                top.targets if isinstance(top, ast.Assign) else [top.target] if isinstance(top, ast.AnnAssign) else []
            )
            names = {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
            names |= {top.name} if isinstance(top, (ast.FunctionDef, ast.ClassDef)) else set()
            for name in names:
                assert seen.setdefault(name, number) == number, name


def test_what_is_packed_is_what_the_sources_say() -> None:
    """Nothing but docstrings, remarks, empty lines, imports and functions without a caller is left out."""
    bodies = [body(source) for source in SOURCES]
    kept = set(body(packed()))
    told = [dumped for one in bodies for dumped in one]
    left_out = [dumped for dumped in told if dumped not in kept]
    assert kept <= set(told)
    assert all(dumped.startswith("FunctionDef(name='") for dumped in left_out)
    names = {dumped.split("'")[1] for dumped in left_out}
    assert names == {"encode_entry", "verify_proof", *(f"format_{kind}" for kind in FORMATS), "_format"}


FORMATS = ("checkpoint", "consistency", "proof", "receipt")


def body(text: str) -> list[str]:
    """The statements of a module, in one form: without docstrings, imports and the names of modules."""
    tree = ast.parse(re.sub(r"\b(bag|ed25519)\.(?=[A-Za-z])", "", text))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    skipped = (ast.Import, ast.ImportFrom, ast.Pass)
    return [
        ast.dump(top) for top in tree.body if not isinstance(top, skipped) and "TYPE_CHECKING" not in ast.dump(top)[:60]
    ]


def test_it_gives_the_verdicts_of_the_package_on_every_vector(tmp_path: Path) -> None:
    module = types.ModuleType("packed")
    sys.modules["packed"] = module  # where dataclasses look for their module
    exec(compile(packed(), "packed", "exec"), vars(module))
    for kind in KINDS:
        write_bundle(tmp_path / kind, kind)
    rows = json.loads((LEDGER.parent / "tests/vectors/bundles.json").read_text())
    for row in rows:
        shutil.copytree(tmp_path / row["kind"], tmp_path / "changed")
        apply(tmp_path / "changed", row["steps"])
        policy = module.parse_policy(row["policy"].encode()) if row["policy"] else None
        trust = module.Trust([module.decode_vkey(vkey) for vkey in row["vkeys"]], policy, row["require_key"])
        told = compared_bundle(module.verify_bundle(tmp_path / "changed", trust))
        assert told == {key: row[key] for key in told}, row["why"]
        shutil.rmtree(tmp_path / "changed")
    del sys.modules["packed"]


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


@pytest.mark.parametrize("python", pythons())
def test_it_derives_a_long_log_on_every_python(python: str, tmp_path: Path) -> None:
    """Long enough for several processes, where there are several cores."""
    verifier = tmp_path / "sanad-verify.pyz"
    verifier.write_bytes(verifier_archive())
    write(tmp_path / "log", 3 * PART_TILES * TILE_WIDTH + 1)
    command = [python, "-I", "-S", "-W", "error", str(verifier), "log", str(tmp_path / "log"), "--vkey", SIGNER.vkey]
    told = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    (tmp_path / "log/tile/entries/100").unlink()
    told = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert (told.returncode, told.stderr) == (1, "")
    assert "tile/entries/100 is missing [file-missing]" in told.stdout
