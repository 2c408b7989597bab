"""Between messages and bytes on either way to the VTN."""

from __future__ import annotations

from hems.errors import BadAnswer
from oadr import codec
from oadr.errors import WireError
from oadr.messages import Message


class Wire:
    """What the hub writes, and how it reads what it is told."""

    def write(self, message: Message) -> bytes:
        """Return a message as it goes out."""
        return codec.serialise(message)

    def read(self, body: bytes) -> Message:
        """Return what the VTN says; raises BadAnswer."""
        try:
            return codec.parse(body)
        except WireError as error:
            raise BadAnswer(f"what the VTN says cannot be read: {error}") from error
