"""The drill of faults, played in part: what a reception promised stands, whatever failed it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings

from archive import drill_faults


def test_every_call_is_killed_and_what_reaches_a_disk_fails_in_every_way_it_can() -> None:
    tried = [str(fault) for fault in drill_faults.faults(Counter({"futex": 2, "fsync": 1, "write": 1}))]
    assert tried == [
        "signal=KILL at fsync 1",
        "error=EIO at fsync 1",
        "error=ENOSPC at fsync 1",
        "signal=KILL at futex 1",
        "signal=KILL at futex 2",
        "signal=KILL at write 1",
        "error=EIO at write 1",
        "error=ENOSPC at write 1",
        "retval=1 at write 1",
        "retval=8388608 at write 1",
    ]


def test_a_machine_without_strace_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(drill_faults.NotPlayed, match="apt install strace"):
        drill_faults.Drill(tmp_path)


def test_the_drill_of_faults_breaks_no_promise() -> None:
    """Each fifteenth of the faults: half a minute. All of them: `manage.py drill faults`."""
    command = [sys.executable, "-W", "ignore", str(settings.BASE_DIR / "manage.py"), "drill", "faults"]
    done = subprocess.run([*command, "--every", "15", "--json"], capture_output=True, text=True, timeout=600)
    if "strace" in done.stderr:
        pytest.skip("strace is not installed, or may trace nothing here: system calls cannot be made to fail")
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["wrong"] == []
    assert done.returncode == 0
    assert result["tried"]["signal"] >= 15
    assert result["ended"]["killed"] >= 10
