"""Settings of a web server that a test starts: the test's database and data folder, and less patience."""

import os

from tests.evidence.subprocess_settings import *  # noqa: F403

SANAD_UPLOAD_SILENCE = int(os.environ.get("ARCHIVE_TEST_SILENCE", "60"))
