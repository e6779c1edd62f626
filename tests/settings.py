"""Settings of the tests: the archive's own, on a cluster and data folders that end with the session."""

import os
import tempfile
from pathlib import Path
from typing import Any

# One home for the session, made by the first process (xdist's workers inherit it) and removed by it: tests/conftest.py.
HOME = Path(os.environ.setdefault("ARCHIVE_TEST_HOME", tempfile.mkdtemp(prefix="sanad-tests-")))
HOME.chmod(0o711)
_data = HOME / os.environ.get("PYTEST_XDIST_WORKER", "main")

for _name in [name for name in os.environ if name.startswith("SANAD_")]:
    del os.environ[_name]
os.environ["SANAD_DATA"] = str(_data)
os.environ["SANAD_INSECURE_HTTP"] = "1"

from archive import data_folder, postgres  # noqa: E402  the environment comes first

data_folder.prepare(_data)
CLUSTER = HOME / "cluster"
os.environ["DATABASE_URL"] = os.environ.get("ARCHIVE_TEST_DATABASE_URL") or postgres.database_url(CLUSTER)

from archive.settings import *  # noqa: E402, F403
from archive.settings import REST_FRAMEWORK, STORAGES, TEMPLATES  # noqa: E402


class MissingVariable(str):
    """A template that names a variable nobody gave it fails its test instead of showing nothing."""

    __slots__ = ()

    def __contains__(self, part: object) -> bool:
        return part == "%s"

    def __mod__(self, name: object) -> str:
        raise LookupError(f"template variable {name!s} is missing")


TEMPLATES[0]["OPTIONS"]["string_if_invalid"] = MissingVariable("missing")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Argon2 would be half of the session's time
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_AUTOREFRESH = True
REST_FRAMEWORK: dict[str, Any] = REST_FRAMEWORK | {"TEST_REQUEST_DEFAULT_FORMAT": "json"}  # type: ignore[no-redef]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
