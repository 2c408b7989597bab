"""This room's part of the record of processing."""

from __future__ import annotations

from typing import Final

from members.processing import CONSENT, CONTRACT, UNTIL_ERASED
from opendsr.kernel.processing import Processing

SENDERS: Final = "the co-op's providers of email and text messages: the address and the words"

RECORD: Final = (
    Processing(
        models=("notices.Contact",),
        what="language, and a telephone number the member gave and confirmed",
        purpose="telling members of events, results and trouble the way they chose",
        basis=CONTRACT,
        keeping=UNTIL_ERASED,
        recipients=SENDERS,
    ),
    Processing(
        models=("notices.Choice",),
        what="which classes of notices a member wants by which channel, since when, in which words",
        purpose="sending nobody what they do not want; of marketing, showing that they agreed (PECR reg. 22)",
        basis=f"{CONTRACT}; of marketing: {CONSENT}",
        keeping="until erased",
    ),
    Processing(
        models=("notices.Notice", "notices.InboundSms"),
        what="which notice went to which member by which channel, where to, and what became of it",
        purpose="showing that people were told, and finding those who were not",
        basis=CONTRACT,
        keeping="400 days; unreadable once the member is erased",
        recipients=SENDERS,
    ),
)
