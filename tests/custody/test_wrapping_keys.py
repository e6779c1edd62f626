"""Key-encryption keys in a file and in a token keep one contract; what is of a token alone stands below."""

from collections.abc import Callable
from pathlib import Path

import pytest

from custody import token_keys
from custody.keys import read_or_make_secret
from custody.token_keys import Token, TokenKey, destroy_token_key, make_token_key
from custody.wrapping import KeyAway, KeyProblem, MemoryKey, WrappingKey
from tests.custody.tokens import PIN
from tests.custody.wrapping_contract import DATA, Contract


class TestAKeyInAFile(Contract):
    @pytest.fixture
    def files(self) -> dict[bytes, Path]:
        return {}

    @pytest.fixture
    def make_key(self, tmp_path: Path, files: dict[bytes, Path]) -> Callable[[], WrappingKey]:
        def make() -> WrappingKey:
            path = tmp_path / f"kek-{len(files)}"
            key = MemoryKey(read_or_make_secret(path))
            files[key.id] = path
            return key

        return make

    @pytest.fixture
    def again(self, files: dict[bytes, Path]) -> Callable[[WrappingKey], WrappingKey]:
        return lambda key: MemoryKey(read_or_make_secret(files[key.id]))


class TestAKeyInAToken(Contract):
    @pytest.fixture
    def make_key(self, token: Token) -> Callable[[], WrappingKey]:
        return lambda: TokenKey(token, make_token_key(token))

    @pytest.fixture
    def again(self, token: Token) -> Callable[[WrappingKey], WrappingKey]:
        return lambda key: TokenKey(token, key.id)

    def test_the_key_itself_never_leaves_the_token(self, token: Token) -> None:
        import pkcs11

        made = make_token_key(token)
        session = token_keys.open_session(token)
        key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, id=made)
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
        assert key[pkcs11.Attribute.SENSITIVE] is True
        assert key[pkcs11.Attribute.NEVER_EXTRACTABLE] is True
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]
        session.close()

    def test_a_lost_session_is_opened_again(self, token: Token) -> None:
        key = TokenKey(token, make_token_key(token))
        sealed = key.seal(DATA, b"row")
        held = key._held
        assert held is not None
        held[1].session.close()
        assert key.open(sealed, b"row") == DATA

    def test_a_key_that_was_destroyed_opens_nothing(self, token: Token) -> None:
        key = TokenKey(token, make_token_key(token))
        sealed = key.seal(DATA, b"row")
        destroy_token_key(token, key.id)
        destroy_token_key(token, key.id)
        with pytest.raises(KeyProblem, match="has no key"):
            TokenKey(token, key.id).open(sealed, b"row")
        with pytest.raises(KeyProblem):
            key.open(sealed, b"row")

    def test_a_wrong_pin_is_tried_once_and_told_to_nobody(self, token: Token, tmp_path: Path) -> None:
        made = make_token_key(token)
        wrong = tmp_path / "pin"
        wrong.touch(mode=0o600)
        wrong.write_text("0000-wrong")
        with pytest.raises(KeyProblem, match="refused the PIN") as first:
            self.of_a_new_process(Token(token.module, token.label, wrong), made)
        assert "0000-wrong" not in str(first.value)
        with pytest.raises(KeyProblem) as next_process:
            self.of_a_new_process(Token(token.module, token.label, wrong), made, untried=20)
        assert str(next_process.value).count("not tried again") == 20
        wrong.write_text("0001-wrong")
        with pytest.raises(KeyProblem, match="refused the PIN"):
            self.of_a_new_process(Token(token.module, token.label, wrong), made)

    def test_a_row_that_was_changed_costs_no_session(self, token: Token) -> None:
        import pkcs11

        key = TokenKey(token, make_token_key(token))
        sealed = bytearray(key.seal(DATA, b"row"))
        sealed[-1] ^= 1
        held = key._held
        assert held is not None
        with pytest.raises(KeyProblem):
            key.open(bytes(sealed), b"row")
        with pytest.raises(pkcs11.exceptions.PKCS11Error):
            held[1].session.generate_random(64)
        assert key.seal(DATA, b"row")

    def of_a_new_process(self, token: Token, made: bytes, untried: int = 19) -> None:
        """A process is signed in as a whole, so a PIN is asked of a new one alone."""
        import subprocess
        import sys

        program = (
            "import sys; from pathlib import Path; from custody.token_keys import *\n"
            "module, label, pin, id = sys.argv[1:]\n"
            "key = TokenKey(Token(Path(module), label, Path(pin)), bytes.fromhex(id))\n"
            "for attempt in range(20):\n"
            "    try: key.seal(bytes(32), b'')\n"
            "    except KeyProblem as problem: print(problem)\n"
        )
        argv = [sys.executable, "-c", program, str(token.module), token.label, str(token.pin_file), made.hex()]
        told = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
        assert told.count("not tried again") == untried, told
        raise KeyProblem(told)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"label": "another"}, "cannot be used"),
            ({"module": Path("/nowhere/module.so")}, "cannot be loaded"),
            ({"pin_file": Path("/nowhere/pin")}, "PIN cannot be read"),
        ],
    )
    def test_what_is_missing_is_said(self, token: Token, changed: dict[str, object], said: str) -> None:
        made = make_token_key(token)
        other = Token(**{"module": token.module, "label": token.label, "pin_file": token.pin_file} | changed)  # type: ignore[arg-type]
        with pytest.raises(KeyAway, match=said):
            TokenKey(other, made).seal(DATA, b"row")

    def test_a_pin_that_others_may_read_is_refused(self, token: Token, tmp_path: Path) -> None:
        loose = tmp_path / "pin"
        loose.write_text(PIN)
        loose.chmod(0o640)
        with pytest.raises(KeyProblem, match="others may read"):
            make_token_key(Token(token.module, token.label, loose))
