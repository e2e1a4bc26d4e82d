"""Keys that sign: HMAC-SHA256 over parts whose borders cannot be moved. Pure.

A signature reads `<key id>:<64 hex digits>`. What is signed is the line `homing 1`, and then each part
as its length in decimal, a colon, its bytes and a comma (a netstring), the key's id first.
"""

import re
from collections.abc import Sequence

from homing.errors import SettingsError, WrongKind

#: Shorter secrets can be guessed by trying.
SECRET_MIN_BYTES = 16
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_HEAD = b"homing 1\n"
_RULE = "write id:secret, and a comma between two of them"
_MAKE = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"


class SigningKeys:
    """The first key signs, all of them verify. No secret shows in a repr, a text or an error."""

    __slots__ = ("_keys", "_signer")

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._keys = dict(keys)
        self._signer = keys[0][0]

    @classmethod
    def parse(cls, text: object, name: str = "signing_keys") -> "SigningKeys":
        """From `id:secret,id2:secret2`; SettingsError says which one is wrong, and shows none."""
        if isinstance(text, SigningKeys):
            return text
        if not isinstance(text, str):
            raise WrongKind(f"{name} must be a text, not {type(text).__name__}: {_RULE}")
        keys: dict[str, bytes] = {}
        for number, pair in enumerate(text.split(","), 1):
            key_id, colon, secret = pair.strip().partition(":")
            if not colon or not _KEY_ID.fullmatch(key_id):
                raise SettingsError(
                    f"{name}: number {number} is no key: {_RULE}; an id is 1 to 32 of A-Z a-z 0-9 _ . -"
                )
            if len(secret.encode("utf-8", "replace")) < SECRET_MIN_BYTES:
                raise SettingsError(
                    f"{name}: the secret of key {key_id!r} has fewer than {SECRET_MIN_BYTES} bytes: {_MAKE} makes one"
                )
            if key_id in keys:
                raise SettingsError(f"{name}: two keys are called {key_id!r}: give each an id of its own")
            keys[key_id] = secret.encode("utf-8", "replace")
        return cls([*keys.items()])

    def sign(self, *parts: bytes) -> bytes:
        """The signature of these parts with the first key."""
        return self._made_with(self._signer, parts)

    def knows(self, signature: str) -> bool:
        """Whether the key that a signature names is one of these."""
        return signature.partition(":")[0] in self._keys

    def verifies(self, signature: str, *parts: bytes) -> bool:
        """Whether one of these keys made it of just these parts; takes as long for any wrong one."""
        import hmac  # costs milliseconds that programs without keys need not spend

        key_id = signature.partition(":")[0]
        if key_id not in self._keys:
            return False
        return hmac.compare_digest(self._made_with(key_id, parts), signature.encode())

    def _made_with(self, key_id: str, parts: Sequence[bytes]) -> bytes:
        import hmac

        name = key_id.encode()
        signed = b"".join([_HEAD, *(b"%d:%b," % (len(part), part) for part in (name, *parts))])
        return b"%b:%b" % (name, hmac.digest(self._keys[key_id], signed, "sha256").hex().encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SigningKeys) and [*self._keys.items()] == [*other._keys.items()]

    __hash__ = None  # type: ignore[assignment]  # nobody looks one up

    def __str__(self) -> str:
        return ",".join(f"{key_id}:***" for key_id in self._keys)

    def __repr__(self) -> str:
        return f"<SigningKeys {self}>"

    def __reduce__(self) -> str:
        raise TypeError("signing keys are not pickled: their secrets would go with them")
