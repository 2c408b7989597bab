"""This room's part of the record of processing."""

from __future__ import annotations

from typing import Final

from opendsr.kernel.processing import Processing

CONTRACT: Final = "contract with the member (Art. 6(1)(b))"
CONSENT: Final = "consent (Art. 6(1)(a)), by purpose, withdrawn in two presses"
DUTY: Final = "legal obligation (Art. 6(1)(c))"
INTEREST: Final = "legitimate interest (Art. 6(1)(f))"
UNTIL_ERASED: Final = "until erased; the key is shredded then"

RECORD: Final = (
    Processing(
        models=("members.Member", "members.Household", "members.Home", "members.Occupancy"),
        what="names, membership, premises with address and meter point, who lived where and when",
        purpose="membership, and to know which home a meter, a hub and an event belong to",
        basis=CONTRACT,
        keeping=f"{UNTIL_ERASED}; the register of members by number only after that",
        recipients="landlords and buyers of flexibility: none of it",
    ),
    Processing(
        models=("members.User",),
        what="email address, password hash, roles",
        purpose="signing in",
        basis=CONTRACT,
        keeping="until erased; a number stays, so that the audit trail says who by number",
    ),
    Processing(
        models=("members.Supply",),
        what="who supplies a household's electricity, how it is paid for where they told, and since when",
        purpose="pairing the meter's CAD and asking the supplier about it; seeing in totals over 15 homes or "
        "more whether homes on prepayment get as much as others",
        basis=f"{CONTRACT}; for how it is paid {INTEREST}: asked, never required, and it can be taken back",
        keeping="until the household is erased",
    ),
    Processing(
        models=("members.MeterStream",),
        what="which random stream id holds whose readings",
        purpose="keeping readings apart from names",
        basis=CONSENT,
        keeping="as long as the ledger: it shows which readings a statement rests on",
    ),
    Processing(
        models=("members.Consent",),
        what="what was agreed, to which words, when and until when",
        purpose="showing that nothing is done without consent",
        basis="legal obligation (Art. 7(1): to be able to demonstrate consent)",
        keeping="six years after it ended, by member number",
    ),
    Processing(
        models=("members.StandingOptOut",),
        what="when a household is to be left out, and a word for themselves",
        purpose="leaving them out",
        basis=CONTRACT,
        keeping="the dates with the events they kept away; the words until erased",
    ),
    Processing(
        models=("members.HouseholdCare",),
        what="what must not happen to a household, never why; whom else to speak with",
        purpose="that no event does it",
        basis="explicit consent (Art. 9(2)(a)): told by the household, forgotten as soon as it says so",
        keeping="until the household unticks it, leaves or is erased; sealed under a key of its own",
        recipients="nobody: landlords, dispatchers and buyers of flexibility see none of it",
    ),
    Processing(
        models=("members.PartnerHome", "members.PartnerAccount"),
        what="which homes a landlord has, and who signs in for the landlord",
        purpose="totals over 15 homes or more",
        basis=INTEREST,
        keeping="until the landlord's link is six years past",
        recipients="the landlord: counts and totals, never a home",
    ),
    Processing(
        models=("members.Application", "members.Invitation"),
        what="what somebody tells when they ask to join, and whom a landlord or a member invites",
        purpose="deciding who can take part",
        basis="steps before a contract, at their request (Art. 6(1)(b))",
        keeping="what was told a year after it came to something or nothing, under a key of its own",
    ),
    Processing(
        models=("members.TermsAcceptance", "members.Shareholding"),
        what="terms accepted by their hash, shares taken and paid",
        purpose="the register of members",
        basis=f"{DUTY}: Co-operative and Community Benefit Societies Act 2014",
        keeping="six years after the membership ended, by number",
    ),
    Processing(
        models=("members.PartnerProperty", "members.ChampionCode"),
        what="a landlord's list of properties; codes of people who bring others in",
        purpose="inviting tenants, and knowing what recruiting costs",
        basis=INTEREST,
        keeping="until the landlord's link is six years past",
        recipients="the landlord gave the list and sees its own",
    ),
    Processing(
        models=("members.PersonalToken",),
        what="keys that a member makes for programs and calendars of their own, as digests",
        purpose="letting in what the member let in",
        basis=CONTRACT,
        keeping="until erased; a revoked one lets nothing in",
    ),
    Processing(
        models=("members.ShortSurvey",),
        what="what a member answers in short surveys",
        purpose="seeing how it goes; staff see totals",
        basis=CONSENT,
        keeping="until erased",
    ),
    Processing(
        models=(
            "members.RightsRequest",
            "members.Restriction",
            "members.FormerValue",
            "members.DataExport",
            "members.DataExportPart",
            "members.Erasure",
        ),
        what="what people ask of their data, complaints, our answers, what stood before a correction",
        purpose="answering within a month, complaints within 30 days, and showing that it was done",
        basis=DUTY,
        keeping="the words until erased; that it was asked and answered six years; copies 30 days",
    ),
)
