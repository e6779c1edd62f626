"""The contract of a key-encryption key (custody.wrapping.WrappingKey): whatever wraps data keys passes this.

A provider of another kind, such as a key management service, subclasses Contract and gives `make_key`, which makes a
key anew, and `again`, which is the same key as another process would have it.
"""

import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from custody import wrapping
from custody.memory import Secret
from custody.wrapping import KeyProblem, WrappingKey

DATA = bytes(range(32))


class Contract:
    """Needs the fixtures `make_key` and `again`."""

    def test_what_it_seals_it_opens_again(self, make_key: Callable[[], WrappingKey]) -> None:
        key = make_key()
        opened = key.open(key.seal(DATA, b"row"), b"row")
        assert opened == DATA
        assert isinstance(opened, Secret)

    def test_another_process_opens_it_too(
        self, make_key: Callable[[], WrappingKey], again: Callable[[WrappingKey], WrappingKey]
    ) -> None:
        key = make_key()
        same = again(key)
        assert same.id == key.id
        assert same.open(key.seal(DATA, b"row"), b"row") == DATA

    def test_it_never_seals_twice_to_the_same_bytes(self, make_key: Callable[[], WrappingKey]) -> None:
        key = make_key()
        assert len({key.seal(DATA, b"row") for _ in range(50)}) == 50

    def test_associated_data_of_another_row_does_not_open(self, make_key: Callable[[], WrappingKey]) -> None:
        key = make_key()
        sealed = key.seal(DATA, b"row")
        for other in (b"", b"row ", b"rox"):
            with pytest.raises(KeyProblem):
                key.open(sealed, other)

    def test_no_changed_byte_and_no_cut_opens(self, make_key: Callable[[], WrappingKey]) -> None:
        key = make_key()
        sealed = key.seal(DATA, b"row")
        for at in range(len(sealed)):
            with pytest.raises(KeyProblem):
                key.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"row")
        for cut in (b"", sealed[:11], sealed[:12], sealed[:28], sealed[:-1], sealed + b"\0"):
            with pytest.raises(KeyProblem):
                key.open(cut, b"row")
        assert key.open(sealed, b"row") == DATA

    def test_another_key_does_not_open_it(self, make_key: Callable[[], WrappingKey]) -> None:
        one, other = make_key(), make_key()
        assert one.id != other.id
        with pytest.raises(KeyProblem):
            other.open(one.seal(DATA, b"row"), b"row")

    def test_its_name_has_eight_bytes_and_shows_in_nothing_else(self, make_key: Callable[[], WrappingKey]) -> None:
        key = make_key()
        assert len(key.id) == wrapping.KEY_ID_BYTES
        secret = secrets.token_bytes(32)
        assert secret not in key.seal(secret, b"row")

    def test_threads_use_it_at_once(self, make_key: Callable[[], WrappingKey]) -> None:
        key = make_key()

        def there_and_back(number: int) -> bool:
            data, row = secrets.token_bytes(32), b"row/%d" % number
            return bytes(key.open(key.seal(data, row), row)) == data

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(there_and_back, range(200)))

    def test_a_forked_child_uses_it_and_its_parent_goes_on(self, make_key: Callable[[], WrappingKey]) -> None:
        key = make_key()
        sealed = key.seal(DATA, b"row")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                good = key.open(sealed, b"row") == DATA and key.open(key.seal(DATA, b"child"), b"child") == DATA
                code = 0 if good else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert key.open(sealed, b"row") == DATA
        assert key.open(key.seal(DATA, b"parent"), b"parent") == DATA
