"""Words to begin with: a co-op reads them, changes them and publishes them as its own (`terms`)."""

from __future__ import annotations

from typing import Final

from members.enquiry_models import TermsText

DRAFTS: Final[dict[TermsText.Kind, str]] = {
    TermsText.Kind.ASSURANCE: (
        "What it costs: nothing to you. The co-op pays for the devices and the visit.\n\n"
        "Who comes: an electrician of the co-op, with a badge, at a time you agree to; about two hours.\n\n"
        "What can go wrong: a device may fail. Your own switch then works as before, and we come to mend it."
        " Your own button always wins.\n\n"
        "Your bill: you choose your supplier and tariff and stay with them. We never change them, and you"
        " never owe us anything for taking part or for saying no.\n\n"
        "Leaving: at any time, in two presses. We take the devices away if you wish."
    ),
    TermsText.Kind.TERMS: (
        "1. You become a member of the co-op and hold at least one share.\n\n"
        "2. With your consent the co-op may ask your devices to use more or less at times it tells you.\n\n"
        "3. You can refuse each time, leave out hours or seasons, and end your consent at any time.\n\n"
        "4. What the co-op earns by it is shared by the share policy that members voted for.\n\n"
        "5. You may cancel within 14 days without giving a reason, and leave at any time afterwards."
    ),
}
