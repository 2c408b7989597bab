"""HTTP message signatures (RFC 9421) with Ed25519, and content digests (RFC 9530): checked, and made. Pure.

What a signature covers is rebuilt from the message as it came, never from what the sender says it was.
Component parameters (`;sf`, `;key`, `;bs`, `;req`, `;tr`) are refused: nothing here needs them, and a
component taken for another is how such checks are fooled.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from opendsr.kernel.errors import DomainError

LONGEST_HEADER: Final = 4_096
MOST_COMPONENTS: Final = 40
ALGORITHM: Final = "ed25519"
DERIVED: Final = frozenset(
    {"@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"}
)
DIGESTS: Final = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
_KEY: Final = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_STRING: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BYTES: Final = re.compile(r":([A-Za-z0-9+/=]*):")
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}(?![0-9.])")
_TOKEN: Final = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_SPACE: Final = re.compile(r"[ \t]*")
Value = str | int | bool | bytes
Member = TypeVar("Member")


class SignatureRefused(DomainError):
    """The message is not signed as it has to be: `reason`."""

    status = 401
    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it came: `url` whole, header names in small letters."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature of a message, read and not yet checked."""

    label: str
    components: tuple[str, ...]
    parameters: Mapping[str, Value]
    signature: bytes
    base: bytes

    @property
    def key_id(self) -> str:
        """Who says to have signed; raises SignatureRefused where nobody does."""
        return self._text("keyid")

    @property
    def nonce(self) -> str:
        """What makes this signature unlike every other; raises SignatureRefused without one."""
        return self._text("nonce")

    @property
    def created_at(self) -> datetime:
        """When it says it was made; raises SignatureRefused where it does not."""
        return self._instant("created")

    def _text(self, name: str) -> str:
        found = self.parameters.get(name)
        if not isinstance(found, str) or not found:
            raise SignatureRefused(reason=f"the signature has no {name}")
        return found

    def _instant(self, name: str) -> datetime:
        found = self.parameters.get(name)
        if isinstance(found, bool) or not isinstance(found, int):
            raise SignatureRefused(reason=f"the signature has no {name}")
        try:
            return datetime.fromtimestamp(found, UTC)
        except (OverflowError, OSError, ValueError):
            raise SignatureRefused(reason=f"{name} is no time") from None

    def require(self, components: Sequence[str]) -> None:
        """Raise SignatureRefused unless every one of the components is covered."""
        for name in components:
            if name not in self.components:
                raise SignatureRefused(reason=f"{name} is not signed")

    def require_current(self, *, wall: datetime, seconds: int) -> None:
        """Raise SignatureRefused when made more than `seconds` from `wall`, either way, or expired."""
        if abs((wall - self.created_at).total_seconds()) > seconds:
            raise SignatureRefused(reason=f"created more than {seconds} seconds from now: set the clock")
        if "expires" in self.parameters and self._instant("expires") <= wall:
            raise SignatureRefused(reason="the signature has expired")

    def require_by(self, public_key: bytes) -> None:
        """Raise SignatureRefused unless the holder of the key (32 bytes) made it."""
        if self.parameters.get("alg", ALGORITHM) != ALGORITHM:
            raise SignatureRefused(reason=f"alg has to be {ALGORITHM}")
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, self.base)
        except (InvalidSignature, ValueError):
            raise SignatureRefused(reason="the signature does not fit the message and the key") from None


def read(message: Message) -> Signed:
    """The message's one signature with the base it has to fit (RFC 9421 s.2.5); raises SignatureRefused."""
    inputs = _Reader(_header(message, "signature-input")).inner_lists()
    values = _Reader(_header(message, "signature")).items()
    if len(inputs) != 1 or inputs.keys() != values.keys():
        raise SignatureRefused(reason="send one signature, under the same label in both headers")
    ((label, (components, parameters, written)),) = inputs.items()
    ((_, signature),) = values.items()
    if not isinstance(signature, bytes):
        raise SignatureRefused(reason="Signature has to be a byte sequence")
    if len(set(components)) != len(components) or len(components) > MOST_COMPONENTS:
        raise SignatureRefused(reason="each component may be signed once")
    lines = [f'"{name}": {_component(message, name)}' for name in components]
    base = "\n".join([*lines, f'"@signature-params": {written}'])
    return Signed(label, components, parameters, signature, base.encode("ascii", "replace"))


def require_digest(message: Message) -> None:
    """Raise SignatureRefused unless Content-Digest (RFC 9530) fits the body."""
    found = _Reader(_header(message, "content-digest")).items()
    known = {name: value for name, value in found.items() if name in DIGESTS}
    if not known:
        raise SignatureRefused(reason=f"send Content-Digest with {' or '.join(DIGESTS)}")
    for name, value in known.items():
        wanted = DIGESTS[name](message.body).digest()
        if not isinstance(value, bytes) or not hmac.compare_digest(value, wanted):
            raise SignatureRefused(reason="Content-Digest does not fit the body")


def sign(
    message: Message,
    *,
    key: Ed25519PrivateKey,
    key_id: str,
    created_at: datetime,
    nonce: str,
    components: Sequence[str] = ("@method", "@target-uri"),
) -> dict[str, str]:
    """The headers that a client adds to its request: Content-Digest for a body, Signature-Input, Signature.

    Content-Digest, and Idempotency-Key where the message has one, are covered besides `components`.
    """
    added: dict[str, str] = {}
    covered = list(components)
    if message.body:
        digest = base64.b64encode(hashlib.sha256(message.body).digest()).decode()
        added["content-digest"] = f"sha-256=:{digest}:"
        covered.append("content-digest")
    if "idempotency-key" in message.headers:
        covered.append("idempotency-key")
    names = " ".join(f'"{name}"' for name in covered)
    parameters = f';created={int(created_at.timestamp())};keyid="{key_id}";alg="{ALGORITHM}";nonce="{nonce}"'
    whole = Message(message.method, message.url, {**message.headers, **added}, message.body)
    lines = [f'"{name}": {_component(whole, name)}' for name in covered]
    base = "\n".join([*lines, f'"@signature-params": ({names}){parameters}'])
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return {
        **added,
        "signature-input": f"sig=({names}){parameters}",
        "signature": f"sig=:{signature}:",
    }


def _header(message: Message, name: str) -> str:
    found = message.headers.get(name, "")
    if not found:
        raise SignatureRefused(reason=f"send {name.title()}")
    if len(found) > LONGEST_HEADER:
        raise SignatureRefused(reason=f"{name.title()} is too long")
    return found


def _component(message: Message, name: str) -> str:
    """A component's value as RFC 9421 s.2.1 and 2.2 have it; raises SignatureRefused where there is none."""
    parts = urlsplit(message.url)
    if name not in DERIVED:
        if name.startswith("@") or name not in message.headers:
            raise SignatureRefused(reason=f"{name[:60]} is signed and not in the message")
        return " ".join(line.strip() for line in message.headers[name].splitlines())
    try:
        number = parts.port
    except ValueError:
        raise SignatureRefused(reason="the Host has a port that is none") from None
    port = f":{number}" if number not in (None, {"http": 80, "https": 443}.get(parts.scheme)) else ""
    path = parts.path or "/"
    found = {
        "@method": message.method.upper(),
        "@target-uri": message.url,
        "@authority": f"{(parts.hostname or '').lower()}{port}",
        "@scheme": parts.scheme.lower(),
        "@request-target": path + (f"?{parts.query}" if parts.query else ""),
        "@path": path,
        "@query": f"?{parts.query}",
    }
    return found[name]


class _Reader:
    """Structured fields (RFC 8941), as much of them as these headers use."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text.strip(" \t"), 0

    def inner_lists(self) -> dict[str, tuple[tuple[str, ...], dict[str, Value], str]]:
        """(items, parameters, as written) by key."""
        return self._dictionary(self._inner_list)

    def items(self) -> dict[str, Value]:
        """A bare item by key."""
        return self._dictionary(self._item)

    def _dictionary(self, member: Callable[[], Member]) -> dict[str, Member]:
        found: dict[str, Member] = {}
        while True:
            key = self._take(_KEY).group()
            self._expect("=")
            found[key] = member()
            self._take(_SPACE)
            if self.at == len(self.text):
                return found
            self._expect(",")
            self._take(_SPACE)

    def _inner_list(self) -> tuple[tuple[str, ...], dict[str, Value], str]:
        began = self.at
        self._expect("(")
        items: list[str] = []
        while not self._is_next(")"):
            self._take(_SPACE)
            if self._is_next(")"):
                break
            items.append(_unescaped(self._take(_STRING).group(1)))
            if not (self._is_next(" ") or self._is_next(")")):
                raise SignatureRefused(reason="components with parameters are not taken")
        self._expect(")")
        return tuple(items), self._parameters(), self.text[began : self.at]

    def _parameters(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self._is_next(";"):
            self.at += 1
            self._take(_SPACE)
            key = self._take(_KEY).group()
            if self._is_next("="):
                self.at += 1
                found[key] = self._item()
            else:
                found[key] = True
        return found

    def _item(self) -> Value:
        if match := _STRING.match(self.text, self.at):
            self.at = match.end()
            return _unescaped(match.group(1))
        if match := _BYTES.match(self.text, self.at):
            self.at = match.end()
            try:
                return base64.b64decode(match.group(1), validate=True)
            except binascii.Error:
                raise SignatureRefused(reason="a byte sequence is not base64") from None
        if match := _INTEGER.match(self.text, self.at):
            self.at = match.end()
            return int(match.group())
        return self._take(_TOKEN).group()

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise SignatureRefused(reason=f"the header cannot be read from its place {self.at + 1} on")
        self.at = match.end()
        return match

    def _expect(self, letter: str) -> None:
        if not self._is_next(letter):
            raise SignatureRefused(reason=f"the header cannot be read from its place {self.at + 1} on")
        self.at += 1

    def _is_next(self, letter: str) -> bool:
        return self.text[self.at : self.at + 1] == letter


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
