import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import override_settings

from archive.staticfiles import VENDORED, without_references

_STATIC_TAG = re.compile(r"""\{% static ["']([^"']+)["'] %\}""")


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("static")
    storages = {
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "staticfiles": {"BACKEND": "archive.staticfiles.StaticStorage"},
    }
    with override_settings(STATIC_ROOT=root, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
    return root


def manifest(root: Path) -> dict[str, str]:
    paths: dict[str, str] = json.loads((root / "staticfiles.json").read_text())["paths"]
    return paths


def test_every_listed_file_of_a_package_is_served_by_a_hashed_name(collected: Path) -> None:
    paths = manifest(collected)

    for name in VENDORED:
        assert paths[name] != name
        assert (collected / paths[name]).stat().st_size > 1000
        assert (collected / (paths[name] + ".gz")).is_file() or name.endswith(".woff2")


def test_nothing_else_of_a_package_is_served(collected: Path) -> None:
    vendored = {name for name in manifest(collected) if name.startswith("vendor/")}

    assert vendored == set(VENDORED)


@pytest.mark.parametrize(
    "name", ["vendor/leaflet/../../package.json", "leaflet/dist/leaflet.js", "vendor/axe-core/axe.js"]
)
def test_other_names_are_not_found(name: str) -> None:
    assert not finders.find(name)


def test_no_served_file_points_at_a_source_map(collected: Path) -> None:
    served = [path for path in collected.rglob("*") if path.suffix in (".js", ".mjs", ".css")]
    assert len(served) > len(VENDORED)

    for path in served:
        starts = [line[:30] for line in path.read_text("utf-8").splitlines()]
        assert not [start for start in starts if start.startswith(("//# sourceMapping", "/*# sourceMapping"))], path


def test_every_file_a_template_names_exists() -> None:
    """A name that is not in the manifest makes the whole page fail."""
    templates = sorted((Path(__file__).resolve().parents[2] / "templates").rglob("*.html"))
    named = {(path.name, name) for path in templates for name in _STATIC_TAG.findall(path.read_text("utf-8"))}
    assert named

    assert [(template, name) for template, name in sorted(named) if not finders.find(name)] == []


def test_only_references_are_taken_out() -> None:
    source = b"a();//x\n//# sourceMappingURL=a.js.map\nb('//# not a mapping');\n"

    assert without_references("x.js", source) == b"a();//x\n\nb('//# not a mapping');\n"
    assert without_references("css/own.css", b"a{background:url(images/x.png)}") == b"a{background:url(images/x.png)}"


def test_a_missing_package_is_said_by_check(settings: Any, tmp_path: Path) -> None:
    settings.NODE_MODULES = tmp_path
    from archive.staticfiles import VendoredFinder

    (problem,) = VendoredFinder().check()

    assert problem.id == "archive.E001"
    assert "npm ci" in problem.msg


def test_templates_name_files_by_the_configured_storage() -> None:
    assert staticfiles_storage.url("vendor/leaflet/leaflet.js") == "/static/vendor/leaflet/leaflet.js"
