"""Why a body from the wire was refused, a value could not be put on it, or an exchange did not come off."""

from __future__ import annotations

LONGEST_REASON = 240


class WireError(Exception):
    """A body that is no OpenADR message. Carries the reason and, where known, the line."""

    code = "wire_error"

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        self.reason = reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"
        self.line = line
        super().__init__(f"line {line}: {self.reason}" if line else self.reason)


class TooLarge(WireError):
    """More bytes than any message needs."""

    code = "too_large"


class NotUtf8(WireError):
    """Bytes, or a declaration, of another character encoding."""

    code = "not_utf8"


class HasDoctype(WireError):
    """A document type declaration: refused before parsing, whatever it holds."""

    code = "has_doctype"


class NotWellFormed(WireError):
    """Not XML."""

    code = "not_well_formed"


class SchemaInvalid(WireError):
    """XML that the 2.0b schema refuses."""

    code = "schema_invalid"


class InvalidValue(WireError):
    """A value the schema lets through but that means nothing: a year 0, a duration of 10^30 s."""

    code = "invalid_value"


class UnknownMessage(WireError):
    """Well-formed XML whose root is no 2.0b message."""

    code = "unknown_message"


class SignatureInvalid(WireError):
    """A signature that does not hold, or holds for something else than the message."""

    code = "signature_invalid"


class SchemaMissing(RuntimeError):
    """The XSD set is not installed on this machine."""


class LinkError(Exception):
    """An exchange with the other end did not come off; trying again later is right."""


class NoContact(LinkError):
    """Nobody there, cut off, or a certificate that does not hold."""


class Refused(LinkError):
    """An HTTP status other than 200, or the same said over MQTT."""

    def __init__(self, status: int, retry_after_seconds: float | None = None, *, reason: str = "") -> None:
        super().__init__(f"the VTN answered HTTP {status}" + (f": {reason}" if reason else ""))
        self.status, self.reason = status, reason
        self.retry_after_seconds = retry_after_seconds


class BadAnswer(LinkError):
    """What the other end says is no OpenADR message."""
