"""Before what matters the second factor is asked again, and what was filled in is not lost."""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from campaigns import freezing
from campaigns.models import Campaign, Freeze
from members.models import User
from opendsr.kernel.models import Installation
from settlement.models import BankDetail
from tests.campaigns.servicing.operating import make_operator
from tests.factories import PASSWORD
from tests.web.conftest import Visit
from tests.web.pages import seen
from tests.web.scene import NOW, Scene, freeze
from tests.web.test_second_factor import code_of
from tests.web.things import open_request

pytestmark = pytest.mark.django_db
BANK = {"name": "Alice Ash", "sort_code": "401234", "account_number": "01234567"}


@pytest.fixture(autouse=True)
def _asked_of_everybody(settings: Any, scene: Scene) -> None:
    cache.clear()
    settings.STAFF_SECOND_FACTOR = True
    Installation.objects.update(is_demo=False)


@pytest.fixture
def secret(scene: Scene) -> str:
    """Sam's authenticator app."""
    made = generate_totp_secret()
    TOTP.activate(scene.sam, made)
    return made


def confirm(client: Client, response: Any, **fields: str) -> Any:
    """Give the factor on the page that the response leads to."""
    page = response["Location"]
    assert seen(client.get(page)).heading == "Is it you?"
    return client.post(page, fields, follow=True)


def post_kept(client: Client, page: Any) -> Any:
    form = page.context["kept"]
    return client.post(form["path"], dict(form["fields"]), follow=True)


def age_by(client: Client, minutes: int) -> None:
    session = client.session
    for record in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        record["at"] -= 60 * minutes
    session.save()


def test_an_approval_waits_for_the_code_and_is_not_lost(scene: Scene, visit: Visit, secret: str) -> None:
    sams = visit(scene.sam)
    approve = reverse("campaign_action", args=[scene.planned.pk, "approve"])

    page = confirm(sams, sams.post(approve, {"note": "<b>tonight"}), code=code_of(secret))

    assert Campaign.objects.get(pk=scene.planned.pk).state == Campaign.State.PLANNED
    assert seen(page).heading == "Approve the campaign"
    assert seen(page).faults() == []
    assert page.context["kept"]["fields"] == [["note", "<b>tonight"]]
    post_kept(sams, page)
    assert Campaign.objects.get(pk=scene.planned.pk).state == Campaign.State.APPROVED
    assert sams.get(reverse("step_up")).status_code == 404


def test_it_is_asked_again_only_when_it_is_long_ago(scene: Scene, visit: Visit, secret: str) -> None:
    sams = visit(scene.sam)
    freezing.freeze(at=NOW, by=scene.sam, reason="drill")
    thaw = reverse("sending_action", args=["thaw"])
    post_kept(sams, confirm(sams, sams.post(thaw), code=code_of(secret)))
    assert not Freeze.objects.filter(thawed_at=None).exists()

    freeze(NOW + timedelta(minutes=1))
    freezing.freeze(at=NOW, by=scene.sam, reason="drill")
    age_by(sams, 14)
    assert sams.post(thaw)["Location"] == reverse("campaign_list")
    age_by(sams, 2)
    assert reverse("mfa_reauthenticate") in sams.post(thaw)["Location"]
    assert sams.post(reverse("sending_action", args=["freeze"]))["Location"] == reverse("campaign_list")


def test_the_password_is_no_second_factor(scene: Scene, visit: Visit, secret: str) -> None:
    sams = visit(scene.sam)
    approve = reverse("campaign_action", args=[scene.planned.pk, "approve"])
    sams.post(approve)

    by_password = f"{reverse('account_reauthenticate')}?next={reverse('step_up')}"
    page = sams.post(by_password, {"password": PASSWORD}, follow=True)

    assert reverse("mfa_reauthenticate") in post_kept(sams, page).redirect_chain[0][0]
    assert Campaign.objects.get(pk=scene.planned.pk).state == Campaign.State.PLANNED


def test_a_member_gives_the_password_before_bank_details_change(scene: Scene, visit: Visit) -> None:
    alices = visit(scene.alice.user)

    page = confirm(alices, alices.post(reverse("change_bank"), BANK), password=PASSWORD)

    assert not BankDetail.objects.exists()
    assert "Changed. It can be used in seven days." in seen(post_kept(alices, page)).text()
    assert BankDetail.objects.get().ending == "67"


def test_an_operators_key_and_contract_wait_for_the_code_and_taking_away_does_not(
    scene: Scene, visit: Visit, ada: User
) -> None:
    made = generate_totp_secret()
    TOTP.activate(ada, made)
    adas, operator = visit(ada), make_operator()
    key = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()

    def act(verb: str, **fields: str) -> Any:
        return adas.post(reverse("operator_action", args=[operator.client.pk, verb]), fields)

    assert act("key", key_id="", public_key=key).status_code == 422, "what is wrong is said first"
    waiting = act("confirm", contract=str(operator.contract.pk))
    assert reverse("mfa_reauthenticate") in waiting["Location"]
    assert operator.client.keys.count() == 1
    assert act("revoke-key", key_id=operator.key_id)["Location"] == reverse(
        "operator", args=[operator.client.pk]
    )
    assert operator.client.keys.exclude(ends_wall_at=None).count() == 1

    asked = act("key", key_id="nn-new", public_key=key)
    page = confirm(adas, asked, code=code_of(made))
    assert seen(page).heading == "Take the key in"
    post_kept(adas, page)
    assert set(operator.client.keys.values_list("key_id", flat=True)) == {operator.key_id, "nn-new"}


@pytest.mark.parametrize("verb", ["offer", "order"])
def test_what_commits_money_on_the_market_waits_for_the_code(
    scene: Scene, visit: Visit, secret: str, verb: str
) -> None:
    found, sams = open_request(scene), visit(scene.sam)
    action = reverse("market_action", args=[found.pk, verb])

    page = confirm(sams, sams.post(action, {"reference": "O-1"}), code=code_of(secret))

    assert not found.told.filter(is_ours=True).exists()
    assert page.context["kept"]["fields"] == [["reference", "O-1"]]
    done = post_kept(sams, page)
    assert done.redirect_chain[0][0] == reverse("market_request", args=[found.pk])


def test_choosing_on_the_market_keeps_every_tick(scene: Scene, visit: Visit, secret: str) -> None:
    ticks = [str(open_request(scene).pk), "another"]
    sams = visit(scene.sam)

    page = confirm(sams, sams.post(reverse("market_choice"), {"request": ticks}), code=code_of(secret))

    assert seen(page).heading == "Make the offers"
    assert page.context["kept"]["fields"] == [["request", each] for each in ticks]


def test_what_was_kept_is_of_one_person_for_a_while(scene: Scene, visit: Visit, secret: str) -> None:
    sams = visit(scene.sam)
    sams.post(reverse("sending_action", args=["thaw"]))
    session = sams.session
    session["step_up.kept"] = {**session["step_up.kept"], "at": time.time() - 901}
    session.save()

    assert sams.get(reverse("step_up")).status_code == 404
    assert visit(None).get(reverse("step_up")).status_code == 302
    assert isinstance(scene.sam, User)
