"""Between messages and bytes on either way to the VTN, signed both ways once that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hems.errors import BadAnswer, Refused
from oadr import codec
from oadr.errors import WireError
from oadr.messages import Message

if TYPE_CHECKING:
    from hems.sealing import Seal

UNSIGNED: Final = "unsigned"
"""The reason of a VTN that wants signatures and saw none."""

log = logging.getLogger("hems")


class Wire:
    """What the hub writes, and how it reads what it is told. Once signed it stays so."""

    def __init__(self, folder: Path, *, host: str, is_signed: bool) -> None:
        self._folder, self._host = folder, host
        self._seal: Seal | None = None
        if is_signed:
            self._sign()

    @property
    def is_signed(self) -> bool:
        return self._seal is not None

    def write(self, message: Message) -> bytes:
        """Return a message as it goes out: a signature is made for each time it is said."""
        body = codec.serialise(message)
        return body if self._seal is None else self._seal.sign(body)

    def read(self, body: bytes, *, handshake: Collection[bytes] = ()) -> Message:
        """Return what the VTN says; raises BadAnswer. `handshake`: see `sealing.Seal.opened`."""
        try:
            return codec.parse(body) if self._seal is None else self._seal.opened(body, handshake=handshake)
        except WireError as error:
            raise BadAnswer(f"what the VTN says cannot be read: {error}") from error

    def is_to_sign_now(self, refused: Refused) -> bool:
        """Begin to sign when that is what the VTN misses; True when it makes sense to ask again."""
        if self.is_signed or refused.reason != UNSIGNED:
            return False
        log.info("the VTN asks for signed messages: from now on the hub signs, and believes nothing unsigned")
        self._sign()
        return True

    def change_identity(self) -> None:
        """Sign with the key and certificate that are in the folder now."""
        if self.is_signed:
            self._sign()

    def _sign(self) -> None:
        from hems.sealing import Seal  # what most hubs do without costs them no memory

        self._seal = Seal(self._folder, host=self._host)
