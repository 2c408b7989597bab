"""The two fingerprints of a certificate."""

from __future__ import annotations

import hashlib

from oadr.fingerprint import full_fingerprint, oadr_fingerprint


def test_the_short_one_is_the_tail_of_the_full_one() -> None:
    der = b"certificate"

    assert full_fingerprint(der) == hashlib.sha256(der).hexdigest()
    assert oadr_fingerprint(der).replace(":", "").lower() == full_fingerprint(der)[-20:]
    assert oadr_fingerprint(der).count(":") == 9
