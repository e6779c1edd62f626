"""Settings of the tests: the archive's own, on a cluster and data folders that end with the session."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# One home for the session, made by the first process, which removes it; xdist's workers inherit its name.
if "ARCHIVE_TEST_HOME" not in os.environ:
    os.environ["ARCHIVE_TEST_HOME"] = tempfile.mkdtemp(prefix="sanad-tests-")
    atexit.register(shutil.rmtree, os.environ["ARCHIVE_TEST_HOME"], ignore_errors=True)
HOME = Path(os.environ["ARCHIVE_TEST_HOME"])
HOME.chmod(0o711)  # the account that runs the cluster for root passes through
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
    """A template that names a variable nobody gave it fails its test instead of showing nothing.

    Not so a component: its parameters are optional and stand in its header.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        context = sys._getframe(1).f_locals.get("context")
        template = getattr(getattr(context, "render_context", None), "template", None)
        return template is not None and not str(template.name).startswith("components/")

    def __contains__(self, part: object) -> bool:
        return part == "%s"

    def __mod__(self, name: object) -> str:
        raise LookupError(f"template variable {name!s} is missing")


TEMPLATES[0]["OPTIONS"]["string_if_invalid"] = MissingVariable("")
TEMPLATES[0]["OPTIONS"]["debug"] = True  # coverage of templates needs it
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Argon2 would be half of the session's time
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_AUTOREFRESH = True
REST_FRAMEWORK: dict[str, Any] = REST_FRAMEWORK | {"TEST_REQUEST_DEFAULT_FORMAT": "json"}  # type: ignore[no-redef]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
