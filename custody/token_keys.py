"""Key-encryption keys that never leave a token: an HSM, or SoftHSM, through PKCS#11 2.40 (CKM_AES_GCM).

1. The key is AES-256, sensitive and not extractable; this process holds a handle and not the key.
2. One session for the process, one operation at a time: PKCS#11 lets a session do one thing at once.
3. A forked child initialises the library again and opens a session of its own, as PKCS#11 asks of it.
4. A session that was lost (a token that restarted) is opened again, once for each call.
5. The PIN is read from its file when a session is opened and is kept nowhere.
"""

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from custody.memory import Secret
from custody.wrapping import DOES_NOT_OPEN, KEY_BYTES, KEY_ID_BYTES, NONCE_BYTES, KeyAway, KeyProblem

LABEL = "sanad key-encryption key"
TAG_BITS = 128
T = TypeVar("T")


@dataclass(frozen=True)
class Token:
    """Where a key lives: the PKCS#11 module's file, the token's label, and the file with the user's PIN."""

    module: Path
    label: str
    pin_file: Path


class TokenKey:
    """One key in a token."""

    def __init__(self, token: Token, id: bytes) -> None:
        self.id = id
        self._token = token
        self._held: tuple[int, Any] | None = None  # process, handle of the key

    def seal(self, key: bytes | bytearray, associated_data: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._using(lambda handle: bytes(handle.encrypt(bytes(key), **_gcm(nonce, associated_data))))

    def open(self, sealed: bytes, associated_data: bytes) -> Secret:
        nonce, ciphertext = bytes(sealed[:NONCE_BYTES]), bytes(sealed[NONCE_BYTES:])
        if len(ciphertext) != KEY_BYTES + TAG_BITS // 8:
            raise KeyProblem(DOES_NOT_OPEN)
        return self._using(lambda handle: Secret(handle.decrypt(ciphertext, **_gcm(nonce, associated_data))))

    def _using(self, act: Callable[[Any], T]) -> T:
        """Of a wrong tag and a lost session tokens tell the same error: the second try decides."""
        import pkcs11

        with _turn:
            try:
                return act(self._handle())
            except pkcs11.exceptions.PKCS11Error:
                self._drop()
            try:
                return act(self._handle())
            except _away() as problem:
                raise KeyAway(f"the token {self._token.label!r} does not answer ({type(problem).__name__})") from None
            except pkcs11.exceptions.PKCS11Error as problem:
                raise KeyProblem(f"{DOES_NOT_OPEN}; the token says {type(problem).__name__}") from None

    def _drop(self) -> None:
        """Give the session back: a token has few, and every row that was changed costs one otherwise."""
        held, self._held = self._held, None
        if held is None:
            return
        if held[0] != os.getpid():
            _parents.append(held)
            return
        with contextlib.suppress(Exception):
            held[1].session.close()

    def _handle(self) -> Any:
        if self._held is not None and self._held[0] != os.getpid():
            _parents.append(self._held)  # freed, it would close the session of its number, which is another one now
            self._held = None
        if self._held is None:
            session = open_session(self._token)
            self._held = os.getpid(), _key_in(session, self.id, self._token)
        return self._held[1]

    def __repr__(self) -> str:
        return f"<key {self.id.hex()} in a token>"


def make_token_key(token: Token, id: bytes | None = None) -> bytes:
    """Make a key in the token and return its id. Raises KeyProblem."""
    import pkcs11

    made = id or secrets.token_bytes(KEY_ID_BYTES)
    session = open_session(token, writable=True)
    try:
        session.generate_key(
            pkcs11.KeyType.AES,
            KEY_BYTES * 8,
            id=made,
            label=LABEL,
            store=True,
            capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
            template={
                pkcs11.Attribute.PRIVATE: True,
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
            },
        )
    except pkcs11.exceptions.PKCS11Error as problem:
        raise KeyProblem(f"the token made no key ({type(problem).__name__})") from None
    finally:
        session.close()
    return made


def destroy_token_key(token: Token, id: bytes) -> None:
    """Take a key out of the token for good. One that is gone already stays gone. Raises KeyProblem."""
    import pkcs11

    session = open_session(token, writable=True)
    try:
        for found in list(session.get_objects({pkcs11.Attribute.ID: id, pkcs11.Attribute.LABEL: LABEL})):
            found.destroy()
    except pkcs11.exceptions.PKCS11Error as problem:
        raise KeyProblem(f"the token did not destroy the key ({type(problem).__name__})") from None
    finally:
        session.close()


_turn = threading.RLock()
_initialised_in: int | None = None
_parents: list[Any] = []  # handles of the process this one was forked from
_refused: dict[str, int] = {}  # {token: when the PIN file was written whose PIN it refused}


def _forked() -> None:
    global _turn
    _turn = threading.RLock()  # another thread of the parent may have had it


os.register_at_fork(after_in_child=_forked)


def open_session(token: Token, *, writable: bool = False) -> Any:
    """A session with the user signed in. Raises KeyProblem, which names no PIN.

    A PIN that was refused is not tried again, by no process, until its file was written anew: a token locks itself
    after a few tries. An empty file beside the PIN's tells the other processes.
    """
    import pkcs11

    global _initialised_in
    with _turn:
        pin, written = _pin(token.pin_file)
        if _refused.get(token.label) == written or _marker(token, written).exists():
            raise KeyAway(f"the token {token.label!r} refused the PIN; it is not tried again until its file changes")
        try:
            library = pkcs11.lib(str(token.module))
            if _initialised_in not in (None, os.getpid()):
                library.reinitialize()
            _initialised_in = os.getpid()
            found = library.get_token(token_label=token.label)
            try:
                return found.open(rw=writable, user_pin=pin)
            except pkcs11.exceptions.UserAlreadyLoggedIn:
                return found.open(rw=writable)  # signing in is of the process, not of the session
        except (
            pkcs11.exceptions.PinIncorrect,
            pkcs11.exceptions.PinInvalid,
            pkcs11.exceptions.PinLenRange,
            pkcs11.exceptions.PinLocked,
        ):
            _refused[token.label] = written
            with contextlib.suppress(OSError):  # for the other processes: each of them would take a try from the token
                _marker(token, written).touch(0o600)
            raise KeyAway(f"the token {token.label!r} refused the PIN") from None
        except pkcs11.exceptions.PKCS11Error as problem:
            if type(problem) is pkcs11.exceptions.PKCS11Error:  # of the loading itself
                raise KeyAway(f"the PKCS#11 module {token.module.name} cannot be loaded") from None
            raise KeyAway(f"the token {token.label!r} cannot be used ({type(problem).__name__})") from None


def _marker(token: Token, written: int) -> Path:
    label = hashlib.sha256(token.label.encode()).hexdigest()[:16]
    return token.pin_file.with_name(f"{token.pin_file.name}.refused-{label}-{written}")


def _pin(path: Path) -> tuple[str, int]:
    try:
        status = path.stat()
        if status.st_mode & 0o077:
            raise KeyAway(f"{path.name}: others may read the token's PIN; set its mode to 0600")
        return path.read_text("utf-8").strip(), status.st_mtime_ns
    except OSError as problem:
        raise KeyAway(f"the token's PIN cannot be read ({problem.strerror})") from None


def _key_in(session: Any, id: bytes, token: Token) -> Any:
    import pkcs11

    try:
        return session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, id=id)
    except (pkcs11.exceptions.NoSuchKey, pkcs11.exceptions.MultipleObjectsReturned):
        raise KeyAway(f"the token {token.label!r} has no key {id.hex()}, or several") from None


def _away() -> tuple[type[Exception], ...]:
    """What a token says that is not there, or is not asked as it must be: nothing of what was to be opened."""
    from pkcs11 import exceptions as told

    return (
        told.DeviceError,
        told.DeviceMemory,
        told.DeviceRemoved,
        told.HostMemory,
        told.KeyHandleInvalid,
        told.ObjectHandleInvalid,
        told.SessionClosed,
        told.SessionCount,
        told.SessionHandleInvalid,
        told.TokenNotPresent,
        told.UserNotLoggedIn,
    )


def _gcm(nonce: bytes, associated_data: bytes) -> dict[str, Any]:
    import pkcs11

    return {
        "mechanism": pkcs11.Mechanism.AES_GCM,
        "mechanism_param": pkcs11.GCMParams(nonce, associated_data, TAG_BITS),
    }
