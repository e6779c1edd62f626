"""verify.html: the verifier as one page that a browser opens from a disk, in Arabic, English and French.

The modules beside this file are its source; those without the browser's DOM run in Node as well, where the tests
compare them with the verifier in Python. Here they become one file that loads nothing and may connect to nothing.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil
import re

from ledger import VERSION

_START = "app"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z0-9-]+)\.mjs";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*? ?|class |const )(\w+))", re.MULTILINE)


def page() -> bytes:
    """The page: the same bytes for the same version of its sources.

    Its policy names the digests of its one script and its one style sheet; every other source is refused.
    """
    script, style = _program(), _resource("page.css")
    if "</" in script or "</" in style:
        raise ValueError("an end tag stands in the page's sources")
    parts = {
        "SCRIPT": _digest(script),
        "STYLE": _digest(style),
        "VERSION": VERSION,
        "STYLESHEET": style,
        "PROGRAM": script,
    }
    place = re.compile(f"\\b(?:{'|'.join(parts)})\\b")
    return place.sub(lambda match: parts[match[0]], _resource("page.html")).encode()


def _program() -> str:
    """Each module as a function that returns its exports, after those it imports from."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done:
            return
        source = _resource(f"{name}.mjs")
        done[name] = ""  # a cycle would read exports before they are there; the tests run the result
        for match in _IMPORT.finditer(source):
            add(match[2])
        body = _IMPORT.sub(lambda match: f"const {{{match[1]}}} = {_variable(match[2])};\n", source)
        exports = ", ".join(match[2] for match in _EXPORT.finditer(body))
        body = _EXPORT.sub(r"\1", body)
        if re.search(r"^(?:import|export)\b", body, re.MULTILINE):
            raise ValueError(f"{name}.mjs imports or exports in a way that the page cannot hold")
        del done[name]
        done[name] = f"const {_variable(name)} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"

    add(_START)
    return "\n" + "\n".join(done.values())


def _variable(name: str) -> str:
    return "_" + name.replace("-", "_")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _resource(name: str) -> str:
    data = pkgutil.get_data(__name__, name)
    if data is None:
        raise FileNotFoundError(f"{name} is missing from this installation")
    return data.decode("utf-8")
