"""The money pages: rounds and payments by two people, disputes, share policies, a member's earnings."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from members.models import Role
from opendsr.kernel import outbox
from opendsr.web import money_forms
from settlement import bank_details, ledger, rounds
from settlement.bank_details import Payee
from settlement.models import (
    Account,
    BankDetail,
    Dispute,
    GiftChoice,
    Payment,
    PaymentBatch,
    Remittance,
    RoundDecision,
    SettlementRound,
    SharePolicyVersion,
    Statement,
    SurplusProposal,
    SurplusResolution,
)
from tests.factories import make_staff
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import EVENT_DAY, NOW, Scene, freeze

ROUND = {"programme": "fast-dr", "kind": "final", "first_day": EVENT_DAY, "last_day": EVENT_DAY}
LATER = NOW + timedelta(days=8)
POLICY = {
    "name": "Co-op", "effective_day": "2026-01-20", "coop_pct": "40", "steps": "2027-01-01 30",
    "fund_pct": "5",
    "wh_pct": "60", "availability_pct": "0", "equal_pct": "40", "floor_pence": "0", "hardship_weight": "1.5",
    "why": "As voted",
}  # fmt: skip


@pytest.fixture
def ada(scene: Scene):
    return make_staff("ada@example.org", Role.ADMINISTRATOR)


@pytest.fixture
def audrey(scene: Scene):
    return make_staff("audrey@example.org", Role.AUDITOR)


def propose(visit: Visit, scene: Scene, **changes) -> SettlementRound:
    visit(scene.fay).post(reverse("round_list"), ROUND | changes)
    round = SettlementRound.objects.get(kind="final")
    rounds.compute_round(round_id=round.pk, at=NOW)
    return round


def make_final(visit: Visit, scene: Scene, ada) -> SettlementRound:
    round = propose(visit, scene)
    visit(ada).post(reverse("round_action", args=[round.pk, "approve"]))
    return round


def test_a_round_goes_from_one_person_to_another(scene: Scene, visit: Visit, ada) -> None:
    round = propose(visit, scene)
    page = seen(visit(scene.fay).get(reverse("round_page", args=[round.pk])))
    assert "so a second person has to approve it" in page.text()
    assert "Approve and post" not in page.text()
    refused = visit(scene.fay).post(reverse("round_action", args=[round.pk, "approve"]), follow=True)
    assert "cannot approve it" in refused.content.decode()

    done = visit(ada).post(reverse("round_action", args=[round.pk, "approve"]), follow=True)

    assert "Approved and posted" in done.content.decode()
    assert RoundDecision.objects.get(round=round).by == ada
    listed = seen(visit(ada).get(reverse("round_list")))
    assert "Fast DR Dispatch, round 2" in listed.text()


def test_a_round_without_events_says_so(scene: Scene, visit: Visit) -> None:
    days = {"first_day": "2020-01-01", "last_day": "2020-01-02"}
    page = visit(scene.fay).post(reverse("round_list"), ROUND | days)

    assert "Choose at least one campaign" in page.content.decode()
    assert not SettlementRound.objects.filter(kind="final").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"reference;status\nP-1;paid\n", "columns reference, status and reason"),
        (b"nonsense\n", "columns reference, status and reason"),
        (b"reference,status\n" + b"x" * 140_000 + b",paid\n", "columns reference, status and reason"),
        (b"reference,status\n" + b"P-1,paid\n" * 600_000, "larger than 5 MB"),
    ],
    ids=["empty", "semicolons", "no rows", "a huge field", "too large"],
)
def test_a_status_file_that_is_none_is_refused_whole(
    body: bytes, words: str, scene: Scene, visit: Visit
) -> None:
    answer = SimpleUploadedFile("status.csv", body)

    told = visit(scene.fay).post(reverse("payment_status"), {"file": answer}, follow=True).content.decode()

    assert words in told or (words == "empty" and "Choose a CSV file" in told)
    assert "0 paid" not in told


def test_more_events_than_a_round_takes_are_not_left_out_in_silence(
    scene: Scene, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(money_forms, "MOST_EVENTS", 0)
    before = SettlementRound.objects.count()

    page = visit(scene.fay).post(reverse("round_list"), ROUND)

    assert page.status_code == 422
    assert "These days have 1 events, and a round takes 0" in page.content.decode()
    assert SettlementRound.objects.count() == before


@pytest.mark.parametrize("name", ["round_list", "surplus"])
@pytest.mark.parametrize(("field", "day"), [("last_day", "9999-12-31"), ("first_day", "0001-01-01")])
def test_a_day_at_the_edge_of_all_calendars_is_refused(
    name: str, field: str, day: str, scene: Scene, visit: Visit
) -> None:
    visit(scene.fay).post(reverse("surplus_society"), {"legal_form": "community_benefit"})

    page = visit(scene.fay).post(reverse(name), (ROUND if name == "round_list" else VOTE) | {field: day})

    assert page.status_code == 422
    assert "Choose a day from the year 2000 to 2099." in page.content.decode()


@pytest.mark.parametrize("name", ["round_list", "payment_list", "dispute_list", "policy_list"])
def test_auditors_look_and_members_and_dispatchers_do_not(
    scene: Scene, visit: Visit, audrey, name: str
) -> None:
    url = reverse(name)

    assert visit(audrey).get(url).status_code == 200
    assert visit(audrey).post(url, {}).status_code == 403
    assert visit(scene.alice.user).get(url).status_code == 403
    assert visit(scene.sam).get(url).status_code == 403
    assert Client().get(url).status_code == 302


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("round_action", ["approve"]), ("batch_action", ["approve"]), ("dispute_action", ["paid"])],
)
def test_no_stranger_decides_about_money(
    scene: Scene, visit: Visit, audrey, name: str, arguments: list
) -> None:
    round = scene.run.round_id if name == "round_action" else uuid4()
    url = reverse(name, args=[round, *arguments])

    for user in (audrey, scene.alice.user, scene.sam):
        assert visit(user).post(url).status_code == 403
    assert Client().post(url).status_code == 302
    assert visit(scene.fay).post(reverse(name, args=[uuid4(), "nonsense"])).status_code == 404


def test_statement_files_are_written_in_the_background_and_taken_by_finance_alone(
    scene: Scene, visit: Visit, ada, audrey
) -> None:
    round = make_final(visit, scene, ada)
    url = reverse("round_page", args=[round.pk])
    asked = visit(scene.fay).post(reverse("round_action", args=[round.pk, "files"]), follow=True)
    assert "statements written" in seen(asked).text()
    assert '<progress id="files-progress"' in asked.content.decode()
    assert visit(scene.fay).get(reverse("round_statements", args=[round.pk])).status_code == 409

    outbox.drain()
    page = seen(visit(scene.fay).get(url))
    taken = visit(scene.fay).get(reverse("round_statements", args=[round.pk]))

    assert "Download the ZIP file" in page.text()
    with zipfile.ZipFile(io.BytesIO(b"".join(taken.streaming_content))) as whole:
        assert whole.testzip() is None
        names = whole.namelist()
        text = whole.read(next(name for name in names if name.endswith(".html"))).decode()
    assert len(names) == 3 * Statement.objects.filter(round=round).count()
    assert "<h1>Statement</h1>" in text
    assert "Statements as files" not in seen(visit(audrey).get(url)).text()
    assert visit(audrey).get(reverse("round_statements", args=[round.pk])).status_code == 403


def test_a_batch_from_proposal_to_the_banks_answer(scene: Scene, visit: Visit, ada) -> None:
    make_final(visit, scene, ada)
    payee = Payee("Alice Ash", "401234", "01234567")
    bank_details.change(member=scene.alice.member, payee=payee, at=NOW, by=None)
    freeze(LATER)
    data = {"rail": "bank_csv", "processing_date": LATER.date(), "threshold_pounds": "0.01"}
    visit(scene.fay).post(reverse("payment_list"), data)
    batch = PaymentBatch.objects.get()
    assert visit(scene.fay).get(reverse("batch_file", args=[batch.pk])).status_code == 302
    visit(ada).post(reverse("batch_action", args=[batch.pk, "approve"]))
    payment = Payment.objects.get()

    text = visit(scene.fay).get(reverse("batch_file", args=[batch.pk])).content.decode()
    answer = SimpleUploadedFile(
        "status.csv", f"Reference,Status,Reason\n{payment.reference},returned,closed\nnobody,paid,\n".encode()
    )
    told = visit(scene.fay).post(reverse("payment_status"), {"file": answer}, follow=True).content.decode()

    assert "01234567" in text
    assert "0 paid, 1 returned, 0 known before." in told
    assert "Line 3: reference “nobody”" in told
    page = seen(visit(scene.fay).get(reverse("payment_batch", args=[batch.pk])))
    assert "Returned (closed)" in page.text()
    assert "01234567" not in page.text()


def test_nobody_to_pay_is_said(scene: Scene, visit: Visit) -> None:
    data = {"rail": "bacs18", "processing_date": NOW.date(), "threshold_pounds": "5"}

    page = seen(visit(scene.fay).post(reverse("payment_list"), data))

    assert "earned provisionally" in page.text()
    assert not PaymentBatch.objects.exists()


def test_a_remittance_that_differs_is_a_dispute_that_is_decided(scene: Scene, visit: Visit, ada) -> None:
    data = {
        "programme": "fast-dr", "reference": "INV 7", "vat_pounds": "0.20",
        "lines": f"{scene.past.pk}, 1.00, meter dispute\n",
    }  # fmt: skip
    visit(scene.fay).post(reverse("dispute_list"), data)
    dispute = Dispute.objects.get()
    assert Remittance.objects.get().gross_pence == 120

    visit(scene.fay).post(reverse("dispute_action", args=[dispute.pk, "conceded"]))

    page = seen(visit(scene.fay).get(reverse("dispute_list")))
    assert "The co-op bears it" in page.text()
    assert ledger.trial_balance().total_mp == 0


@pytest.mark.parametrize("amount", ["1.00", "9e999999", "1e30", "-1e999990", "1e-999999", "NaN"])
def test_a_bad_line_of_a_remittance_is_named(amount: str, scene: Scene, visit: Visit) -> None:
    event = "x" if amount == "1.00" else scene.past.pk
    data = {"programme": "fast-dr", "reference": "INV 8", "vat_pounds": "0", "lines": f"{event}, {amount}"}

    page = visit(scene.fay).post(reverse("dispute_list"), data)

    assert page.status_code == 422
    assert "Line 1 is not an event" in page.content.decode()


def test_a_policy_is_tried_on_the_last_event_and_published(scene: Scene, visit: Visit) -> None:
    tried = seen(visit(scene.fay).post(reverse("policy_list"), POLICY | {"do": "preview"}))
    assert "Wednesday tea-time, 14 January 2026" in tried.text()
    assert not SharePolicyVersion.objects.exists()

    visit(scene.fay).post(reverse("policy_list"), POLICY | {"do": "publish"})

    version = SharePolicyVersion.objects.get()
    assert version.policy["split"] == {"equal": "40", "wh": "60"}
    page = seen(visit(scene.fay).get(reverse("policy_list")))
    assert "30 % from 1 January 2027" in page.text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wh_pct": "61"}, "sum to 100"),
        ({"coop_pct": "140"}, "0 to 100"),
        ({"effective_day": "2020-01-01", "do": "publish"}, ""),
        ({"steps": "soon 30"}, "Later shares"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_at_its_field(
    scene: Scene, visit: Visit, changes, words
) -> None:
    page = visit(scene.fay).post(reverse("policy_list"), POLICY | {"do": "publish"} | changes)

    assert words in page.content.decode()
    assert not SharePolicyVersion.objects.exists()


def test_a_member_sees_their_own_money_and_gives_some(scene: Scene, visit: Visit) -> None:
    page = seen(visit(scene.alice.user).get(reverse("earnings")))
    assert "is provisional" in page.text()
    assert "By what was delivered" in page.text()

    visit(scene.alice.user).post(reverse("choose_gift"), {"pct": "12.5"})
    visit(scene.alice.user).post(
        reverse("change_bank"), {"name": "Alice Ash", "sort_code": "401234", "account_number": "01234567"}
    )

    assert GiftChoice.objects.get().pct == 12.5
    after = seen(visit(scene.bob.user).get(reverse("earnings")))
    assert "Alice Ash is the account holder of your household" in after.text()
    assert "ending in 67" not in after.text()
    mine = seen(visit(scene.alice.user).get(reverse("earnings")))
    assert "The account ending in 67. It can be used from" in mine.text()
    assert BankDetail.objects.get().member == scene.alice.member


@pytest.mark.parametrize("data", [{"name": "A", "sort_code": "12-34-56", "account_number": "1"}, {}])
def test_bad_details_are_said_at_their_fields(scene: Scene, visit: Visit, data) -> None:
    page = visit(scene.alice.user).post(reverse("change_bank"), data)

    assert page.status_code == 422
    assert not BankDetail.objects.exists()


def test_earnings_belong_to_members(scene: Scene, visit: Visit) -> None:
    for name in ("earnings", "choose_gift", "change_bank"):
        method = "get" if name == "earnings" else "post"
        assert getattr(Client(), method)(reverse(name)).status_code == 302
        assert getattr(visit(scene.sam), method)(reverse(name)).status_code == 404
    carols = seen(visit(scene.carol.user).get(reverse("earnings")))
    account = Account.objects.get(occupancy=scene.alice.occupancy)
    assert f"£{ledger.balance_mp(account) / 100_000:.5f}" not in carols.text()


VOTE = {
    "year": "2025", "first_day": "2025-01-01", "last_day": "2026-12-31", "surplus_pounds": "0.01",
    "reserves_pct": "60", "fund_pct": "40", "dividend_pct": "0", "votes_for": "20", "votes_against": "3",
}  # fmt: skip


def test_the_surplus_is_shared_by_two_people_as_the_legal_form_allows(visit: Visit, scene: Scene, ada):
    final = propose(visit, scene)
    visit(ada).post(reverse("round_action", args=[final.pk, "approve"]))
    assert "Nobody has said yet" in seen(visit(scene.fay).get(reverse("surplus"))).text()
    visit(scene.fay).post(reverse("surplus_society"), {"legal_form": "community_benefit"})

    refused = visit(scene.fay).post(reverse("surplus"), VOTE | {"fund_pct": "30", "dividend_pct": "10"})
    assert "cannot pay a dividend" in seen(refused).text("//body")
    assert not SurplusProposal.objects.exists()

    visit(scene.fay).post(reverse("surplus"), VOTE)
    proposal = SurplusProposal.objects.get()
    own = seen(visit(scene.fay).get(reverse("surplus"))).text()
    assert "a second person approves it" in own
    assert "Approve and post" not in own
    visit(scene.fay).post(reverse("surplus_action", args=[proposal.pk, "approve"]))
    assert not SurplusResolution.objects.exists()
    visit(ada).post(reverse("surplus_action", args=[proposal.pk, "approve"]))

    page = seen(visit(scene.fay).get(reverse("surplus"))).text()
    assert "60 % to reserves, 40 % to the community fund, 0 % as dividend" in page
    assert ledger.trial_balance().balances_mp["reserve"] == 600


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"surplus_pounds": "100000"}, "does not hold that much"),
        ({"reserves_pct": "50"}, "sum to 100"),
        ({"votes_against": "20"}, "more votes"),
        ({"last_day": "2024-01-01"}, "before the first"),
        ({"year": "\0"}, "Null characters"),
        ({"surplus_pounds": "NaN"}, "Enter a number"),
    ],
)
def test_a_vote_that_makes_no_sense_is_refused_in_words(visit: Visit, scene: Scene, changes, words):
    visit(scene.fay).post(reverse("surplus_society"), {"legal_form": "cooperative"})

    response = visit(scene.fay).post(reverse("surplus"), VOTE | changes)

    assert words in seen(response).text("//body")
    assert response.status_code in (200, 422)
    assert not SurplusProposal.objects.exists()


def test_an_auditor_sees_the_surplus_and_moves_nothing(visit: Visit, scene: Scene, audrey):
    page = seen(visit(audrey).get(reverse("surplus"))).text()

    assert "State it" not in page
    assert visit(audrey).post(reverse("surplus"), VOTE).status_code == 403
    assert visit(audrey).post(reverse("surplus_society"), {"legal_form": "cooperative"}).status_code == 403
    assert visit(audrey).post(reverse("surplus_action", args=[uuid4(), "approve"])).status_code == 403
    assert visit(scene.fay).post(reverse("surplus_action", args=[uuid4(), "approve"])).status_code == 404


def test_bank_details_that_cannot_be_say_how_they_are_written(scene: Scene, visit: Visit) -> None:
    sent = {"name": "Alice Ash", "sort_code": "40-12-34", "account_number": "123"}
    answer = visit(scene.alice.user).post(reverse("change_bank"), sent)
    told = seen(answer).text("//*[@class='error-summary']")
    assert answer.status_code == 422
    assert "Sort code: Write the six digits without dashes, such as 123456." in told
    assert "Account number: Write the eight digits, such as 00123456." in told
