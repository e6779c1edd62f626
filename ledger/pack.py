"""The verifier as one file, for every bundle: one Python module in a zipapp, made from the sources of this package."""

from __future__ import annotations

import ast
import io
import os
import pkgutil
import re
import zipfile
from collections.abc import Sequence

from ledger.source import BundleError

#: The modules of the verifier: what reads and checks, and nothing that writes or signs.
MODULES = (
    *("__init__", "shape", "ed25519", "note", "cosignature", "merkle", "checkpoint", "entry", "proof", "policy"),
    *("anchor", "log", "source", "bag", "report", "check", "disclosure", "rotation", "items", "verify", "receipt"),
    "cli",
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_WIDTH = 120


def verifier_archive() -> bytes:
    """The verifier as one file that Python 3.9 and later runs: the same bytes for the same version of it."""
    buffer = io.BytesIO(b"#!/usr/bin/env python3\n")
    buffer.seek(0, os.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(member("__main__.py"), single_file([resource(f"{name}.py").decode() for name in MODULES]))
    return buffer.getvalue()


def single_file(sources: Sequence[str]) -> str:
    """The modules one after the other as one: without imports of each other, docstrings, remarks, empty lines, and
    functions that nothing here calls; what the formatter spread over lines is filled.

    Everything else is written as in the sources. Their names are unique (tests/ledger/test_packed.py).
    """
    imports: set[str] = set()
    body: list[str] = []
    unused = _unused([ast.parse(source) for source in sources])
    for source in sources:
        tree, lines = ast.parse(source), ["", *source.split("\n")]
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
                indent = " " * node.body[0].col_offset
                _blank(lines, node.body[0])
                if len(node.body) == 1 and isinstance(node, ast.ClassDef):
                    lines[node.body[0].lineno - 1] += " pass"
                elif len(node.body) == 1 and indent:
                    lines[node.body[0].lineno] = f"{indent}pass"
        for top in tree.body:
            if isinstance(top, (ast.Import, ast.ImportFrom)):
                if not (isinstance(top, ast.ImportFrom) and (top.module or "").split(".")[0] == "ledger"):
                    imports.add(ast.unparse(top))
                _blank(lines, top)
            elif getattr(top, "name", "") in unused or (
                isinstance(top, ast.If) and "TYPE_CHECKING" in ast.dump(top.test)
            ):
                _blank(lines, top)
        body += [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    named: dict[str, set[str]] = {}
    for line in imports:
        module, _, names = line.removeprefix("from ").partition(" import ")
        named.setdefault(module if names else "", set()).update((names or line[len("import ") :]).split(", "))
    head = [
        f"from {module} import {', '.join(sorted(names))}" if module else f"import {', '.join(sorted(names))}"
        for module, names in sorted(named.items(), key=lambda pair: (pair[0] != "__future__", pair))
    ]
    body = _guarded(body)
    named_here = [re.sub(r"\b(bag|ed25519)\.(?=[A-Za-z])", "", line) for line in body]
    return "".join(f"{line}\n" for line in head + _filled(named_here))


def _guarded(lines: Sequence[str]) -> list[str]:
    """The lines, a condition and the return of one word, continue or break that stands under it on one."""
    done: list[str] = []
    for line in lines:
        guard = re.fullmatch(r"( *)(return( \S{1,12})?|continue|break)", line)
        above = done[-1] if done else ""
        if guard and above.startswith(guard[1][4:] + "if ") and above.endswith(":") and len(above) + len(line) < 100:
            done[-1] = f"{above} {guard[2]}"
        else:
            done.append(line)
    return done


def _filled(lines: Sequence[str]) -> list[str]:
    """The lines, those inside brackets that the formatter gave a line for each part filled to the width of a line.

    A part with a remark behind it stays the last of its line.
    """
    done: list[str] = []
    for line in lines:
        if not re.match(r"\s*[\])}]", line):
            done.append(line)
            continue
        indent = line[: len(line) - len(line.lstrip())]
        opening = next(at for at in range(len(done) - 1, -1, -1) if re.match(rf"{indent}\S", done[at]))
        parts, done[opening:] = [*done[opening:], line], []
        for part in parts:
            last = done[-1] if part is not parts[0] else ""
            glue = "" if last.endswith(("(", "[", "{")) or part is line else " "
            if not last or "  # " in last or len(last) + len(glue) + len(part.strip()) > _WIDTH:
                done.append(part)
            else:
                done[-1] = last + glue + part.strip()
    return done


def _unused(trees: Sequence[ast.Module]) -> set[str]:
    """The names of functions that no other code of these modules speaks of: what only writes."""
    functions = {top.name: top for tree in trees for top in tree.body if isinstance(top, ast.FunctionDef)}
    unused: set[str] = set()
    while True:
        spoken: set[str] = set()
        for tree in trees:
            for top in tree.body:
                if not (isinstance(top, ast.FunctionDef) and top.name in unused):
                    own = top.name if isinstance(top, ast.FunctionDef) else ""
                    spoken |= {node.id for node in ast.walk(top) if isinstance(node, ast.Name)} - {own}
                    spoken |= {node.attr for node in ast.walk(top) if isinstance(node, ast.Attribute)} - {own}
        found = functions.keys() - spoken
        if found == unused:
            return unused
        unused = found


def _blank(lines: list[str], node: ast.stmt, instead: str = "") -> None:
    first, last = node.lineno, node.end_lineno or node.lineno
    lines[first : last + 1] = [instead, *[""] * (last - first)]


def member(name: str) -> zipfile.ZipInfo:
    """A file of an archive that is the same whenever and wherever it is made."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = 3, 0o100644 << 16
    return info


def resource(name: str) -> bytes:
    """A file of this package. Raises BundleError when the installation lacks it."""
    data = pkgutil.get_data("ledger", name)
    if data is None:
        raise BundleError(f"{name} is missing from this installation")
    return data
