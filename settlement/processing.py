"""This room's part of the record of processing."""

from __future__ import annotations

from typing import Final

from members.processing import CONTRACT, DUTY, INTEREST, UNTIL_ERASED
from opendsr.kernel.processing import Processing

RECORD: Final = (
    Processing(
        models=(
            "settlement.HomeDelivery",
            "settlement.DeviceEstimate",
            "settlement.RunArchive",
            "settlement.SettlementRun",
            "settlement.RoundProgress",
            "settlement.EventAfter",
        ),
        what="what a home delivered in an event, and the readings that the sum rests on, by stay",
        purpose="paying what is due, so that anybody can work it out again",
        basis=CONTRACT,
        keeping="six years after the year's accounts, by number",
    ),
    Processing(
        models=(
            "settlement.Account",
            "settlement.Entry",
            "settlement.Posting",
            "settlement.Statement",
            "settlement.StatementFiles",
            "settlement.StatementFilesPart",
            "settlement.Payment",
            "settlement.PaymentEvent",
        ),
        what="the ledger by stay, statements, payments",
        purpose="the co-op's books",
        basis=f"{DUTY}: accounts and tax",
        keeping="six years after the year's accounts, by number only once erased; files 30 days",
        recipients="the bank or GoCardless: payee and amount; the auditor of the accounts",
    ),
    Processing(
        models=("settlement.BankDetail",),
        what="name on the account, sort code, account number",
        purpose="paying members",
        basis=CONTRACT,
        keeping=UNTIL_ERASED,
        recipients="the bank or GoCardless",
    ),
    Processing(
        models=("settlement.GiftChoice", "settlement.HardshipMark"),
        what="what a household gives away; whether the hardship fund helps it, without why",
        purpose="sharing as the members decided",
        basis=CONTRACT,
        keeping="six years, with the sums it entered",
    ),
    Processing(
        models=(
            "settlement.BatchDecision",
            "settlement.Dispute",
            "settlement.DisputeOutcome",
            "settlement.PaymentBatch",
            "settlement.Remittance",
            "settlement.RoundDecision",
            "settlement.SettlementRound",
            "settlement.SharePolicyVersion",
            "settlement.Society",
            "settlement.SurplusDecision",
            "settlement.SurplusProposal",
            "settlement.SurplusResolution",
        ),
        what="which member of staff proposed, approved or entered something",
        purpose="two pairs of eyes over money, and knowing whose",
        basis=INTEREST,
        keeping="six years after the year's accounts",
    ),
)
