"""A real PKCS#11 token in software (SoftHSM), in a folder of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from custody.token_keys import Token

PIN = "4711-test"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def softhsm() -> Path | None:
    """The module's file, where this machine has SoftHSM."""
    return next((Path(module) for module in MODULES if Path(module).exists()), None)


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """An initialised token; the module reads where it keeps tokens once in a process."""
    module, tool = softhsm(), shutil.which("softhsm2-util")
    if module is None or tool is None:
        pytest.skip("SoftHSM is not installed (Debian: softhsm2): keys in a PKCS#11 token are not tested here")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    pin = folder / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN + "\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    subprocess.run(
        [tool, "--init-token", "--free", "--label", "archive", "--pin", PIN, "--so-pin", "8888"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    yield Token(module, "archive", pin)
    del os.environ["SOFTHSM2_CONF"]
