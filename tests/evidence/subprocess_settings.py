"""Settings for processes that a test starts beside itself: the test's own database and data folder."""

import os

_database, _data = os.environ["SANAD_TESTED_DATABASE"], os.environ["SANAD_TESTED_DATA"]

from tests.settings import *  # noqa: E402, F403
from tests.settings import DATABASES  # noqa: E402

DATABASES["default"]["NAME"] = _database
