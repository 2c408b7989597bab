"""The enrolment door for hubs planned by staff: the hub's serial and its code commission it.

Named in VTN_REDEEMERS; `vtn.doors` has the page-less view.
"""

from __future__ import annotations

from datetime import datetime

from assets.commissioning import commission_hub
from vtn.enrolling import EnrolledVen
from vtn.port import VenId


def redeem(*, subject: str, code: str, csr_pem: str, at: datetime) -> EnrolledVen:
    """Commission the hub with this serial; raises what `commission_hub` raises."""
    done = commission_hub(serial=subject, enrolment_code=code, csr_pem=csr_pem, at=at)
    return EnrolledVen(
        ven_id=VenId(done.ven_id), certificate_pem=done.certificate_pem, ca_pem=done.ca_pem, fingerprint=""
    )
