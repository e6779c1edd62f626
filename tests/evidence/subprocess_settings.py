"""Settings for processes that a test starts beside itself: the test's own database and data folder."""

import os

_database = os.environ["SANAD_TESTED_DATABASE"]

from tests.settings import *  # noqa: E402, F403
from tests.settings import DATABASES  # noqa: E402

DATABASES["default"]["NAME"] = _database
