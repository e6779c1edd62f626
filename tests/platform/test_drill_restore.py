"""The restore drill: nothing is signed before the missing entries stand again, and what is lost is told."""

import json
import subprocess
import sys

from django.conf import settings


def test_the_restore_drill_goes_through_every_step_and_tells_what_is_lost() -> None:
    command = [sys.executable, "-W", "ignore", str(settings.BASE_DIR / "manage.py"), "drill", "restore", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert [(step["name"], step["said"]) for step in result["steps"] if not step["good"]] == []
    assert len(result["steps"]) >= 15
    assert done.returncode == 0
    lost = result["lost"]
    assert lost["items"] == 2
    assert lost["values"] > lost["entries"] == sum(lost["events"].values()) > 0
    assert lost["events"]["ingestion"] == 2
