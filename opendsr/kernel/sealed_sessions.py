"""Sessions sealed in the database: what signed somebody in, such as their address, is kept in them."""

from __future__ import annotations

from typing import Any, Final

from django.core.signing import JSONSerializer

from opendsr.kernel import encryption

PURPOSE: Final = "session"


class SealedSerializer:
    """Django's JSON, sealed; a session that cannot be opened any more is an empty one."""

    def dumps(self, obj: Any) -> bytes:
        """Seal a session's content."""
        return encryption.seal_for_a_while(JSONSerializer().dumps(obj), PURPOSE)

    def loads(self, data: bytes) -> Any:
        """Open it. Raises NotSealedHere, which Django's session store takes for no session."""
        return JSONSerializer().loads(encryption.unseal_for_a_while(data, PURPOSE))
