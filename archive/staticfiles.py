"""Static files: an allow-list of front-end packages, and WhiteNoise's hashed names without source maps."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage

# Served name below static/ -> file below node_modules/. Nothing else of a package is ever served.
VENDORED = {
    "vendor/leaflet/leaflet.js": "leaflet/dist/leaflet.js",
    "vendor/topojson-client/topojson-client.min.js": "topojson-client/dist/topojson-client.min.js",
    "vendor/world-atlas/countries-50m.json": "world-atlas/countries-50m.json",
    "vendor/pdfjs-dist/pdf.min.mjs": "pdfjs-dist/legacy/build/pdf.min.mjs",
    "vendor/pdfjs-dist/openjpeg_nowasm_fallback.js": "pdfjs-dist/wasm/openjpeg_nowasm_fallback.js",
    "vendor/pdfjs-dist/pdf.worker.min.mjs": "pdfjs-dist/legacy/build/pdf.worker.min.mjs",
    "vendor/tus-js-client/tus.min.js": "tus-js-client/dist/tus.min.js",
    "vendor/noto-sans-arabic/noto-sans-arabic-arabic-wght-normal.woff2": (
        "@fontsource-variable/noto-sans-arabic/files/noto-sans-arabic-arabic-wght-normal.woff2"
    ),
}

_SOURCE_MAP = re.compile(r"^[ \t]*(//|/\*)[#@]\s*sourceMappingURL=\S+?[ \t]*(\*/)?[ \t]*\r?$", re.MULTILINE)
_IMAGE_OF_PACKAGE = re.compile(r"url\(\s*['\"]?images/[^)]*\)")


class VendoredFinder(BaseFinder):
    """Finds exactly the files of VENDORED."""

    def __init__(self, app_names: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        self.root = Path(settings.NODE_MODULES)
        self.storage = VendoredStorage(location=self.root, vendored=VENDORED)
        super().__init__()

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        missing = [target for target in VENDORED.values() if not (self.root / target).is_file()]
        if not missing:
            return []
        return [Error(f"front-end packages are missing ({missing[0]}): run bin/run or npm ci", id="archive.E001")]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        target = VENDORED.get(path)
        found = str(self.root / target) if target and (self.root / target).is_file() else None
        if find_all or found is None:
            return [found] if found else []
        return found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        for name in VENDORED:
            yield name, self.storage


class VendoredStorage(FileSystemStorage):
    """Opens a served name as the package's file."""

    def __init__(self, *, location: Path, vendored: dict[str, str]) -> None:
        super().__init__(location=location)
        self._vendored = vendored

    def path(self, name: str) -> str:
        return super().path(self._vendored[name])


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # it has no types
    """Names by content hash, precompressed; no file names source maps or packages' images, which are not served."""

    support_js_module_import_aggregation = True

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """From the collected copies, which `_save` has cleaned, not from the packages' files."""
        yield from super().post_process({name: (self, name) for name in paths}, dry_run=dry_run, **options)

    def _save(self, name: str, content: File[bytes]) -> str:
        if name.endswith((".js", ".mjs", ".css")):
            content = ContentFile(without_references(name, b"".join(content.chunks())))
        saved: str = super()._save(name, content)
        return saved


def without_references(name: str, source: bytes) -> bytes:
    """A script or style sheet without what it names but we do not serve."""
    text = _SOURCE_MAP.sub("", source.decode("utf-8"))
    if name.startswith("vendor/") and name.endswith(".css"):
        text = _IMAGE_OF_PACKAGE.sub("none", text)
    return text.encode("utf-8")
