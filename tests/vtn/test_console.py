"""The staff pages on VENs: found, read, and acted upon, at 10,000 of them as at one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries

from oadr import codec
from oadr import messages as m
from opendsr.kernel import clock
from opendsr.kernel.models import AuditEntry
from tests.vtn import hubs
from tests.vtn.hubs import AT, csr_of, new_key, notice_to, only_event
from tests.vtn.people import browser
from vtn import enrolling
from vtn.models import EnrolmentCode, MessageKind, QueuedMessage, Ven, VenCertificate, VenGroup, VenWatch
from vtn.port import Vtn

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_noon() -> None:
    clock.configure(AT, speed=0)


@pytest.fixture
def dee(db: None) -> Client:
    """A device manager's browser."""
    return browser("device_manager")


def page_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, response.content.decode()[:2000]
    return response.content.decode()


def ven_page(client: Client, hub: hubs.TestHub) -> str:
    return page_of(client, reverse("vtn:ven_detail", args=[hub.ven_id]))


# ---- the list


def test_an_empty_fleet_says_what_to_do(dee: Client) -> None:
    assert "No VEN yet." in page_of(dee, "/vtn/")


def test_the_list_tells_each_ven_apart(dee: Client, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    wall = clock.wall_now()
    Ven.objects.filter(pk=hub.ven.pk).update(last_seen_wall_at=wall)
    VenWatch.objects.create(ven=hub.ven, software="hub/2.1", quirks=["opt_type_none"], clock_skew_seconds=75)
    enrolling.revoke_certificate(ven_id=stranger.ven_id, reason="lost", at=AT)

    shown = page_of(dee, "/vtn/")

    for words in ("Online", "Never heard", "hub/2.1", "opt type none", "75 s", "none", "2 VENs", "HTTP pull"):
        assert words in shown


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=strang", {"stranger"}),
        ("state=online", {"hub"}),
        ("state=never_seen", {"stranger"}),
        ("certificate=none", {"stranger"}),
        ("trouble=quirks", {"hub"}),
        ("trouble=skewed", {"hub"}),
        ("trouble=undelivered", {"hub"}),
        ("group=bench", {"stranger"}),
        ("state=silent", set()),
        ("state=nonsense", {"hub", "stranger"}),
        ("q=%00", {"hub", "stranger"}),
    ],
)
def test_filters_find(
    query: str, found: set[str], dee: Client, vtn: Vtn, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    Ven.objects.filter(pk=hub.ven.pk).update(last_seen_wall_at=clock.wall_now())
    VenWatch.objects.create(ven=hub.ven, quirks=["x"], clock_skew_seconds=-75)
    enrolling.revoke_certificate(ven_id=stranger.ven_id, reason="lost", at=AT)
    VenGroup.objects.create(name="bench").vens.add(stranger.ven)
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)

    response = dee.get(f"/vtn/?{query}")

    if query == "q=%00":
        assert response.status_code in (200, 400)
        return
    shown = response.content.decode()
    assert {name for name, each in (("hub", hub), ("stranger", stranger)) if each.ven_id in shown} == found


def test_a_fingerprint_finds_its_ven(dee: Client, hub: hubs.TestHub, stranger: hubs.TestHub) -> None:
    shown = page_of(dee, f"/vtn/?q={hub.fingerprint[:16].upper()}")

    assert hub.ven_id in shown
    assert stranger.ven_id not in shown


def test_ten_thousand_vens_are_as_many_queries_as_one(
    dee: Client, hub: hubs.TestHub, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Ven.objects.bulk_create(
        Ven(ven_id=f"VEN-{number:05}", ven_name=f"Hub {number}", enrolled_at=AT) for number in range(10_000)
    )

    with django_assert_max_num_queries(12):
        shown = page_of(dee, "/vtn/?q=VEN-0&order=name&page=3")

    assert "10,000" in shown
    assert "Page 3 of" in shown
    assert "q=VEN-0" in shown
    assert "order=name" in shown
    assert "Page 201 of 201" in page_of(dee, "/vtn/?page=999")


# ---- one VEN


def test_the_page_tells_all_that_is_known(dee: Client, vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    event = only_event(hub.polls())
    hub.opts(event, "optOut", reason="overrideStatus")
    schedule = m.CreateOpt(
        "R9", "S1", "optOut", "notParticipating", hub.ven_id, AT, availability=(m.AvailablePeriod(AT, 7200),)
    )
    hub.says("EiOpt", schedule)

    shown = ven_page(dee, hub)

    for words in (
        "overrideStatus",
        "SIMPLE level",
        "notParticipating",
        "120 min",
        "in force",
        "Its full set",
    ):
        assert words in shown
    assert hub.ven.registration_id not in shown


def test_an_unknown_ven_is_not_found(dee: Client) -> None:
    response = dee.get("/vtn/vens/VEN-none/")

    assert response.status_code == 404
    assert "no VEN VEN-none" in response.content.decode()


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        ("reregister", MessageKind.REQUEST_REREGISTRATION),
        ("cancel-registration", MessageKind.CANCEL_REGISTRATION),
    ],
)
def test_a_registration_is_asked_for_or_cancelled_by_the_queue(
    verb: str, kind: MessageKind, dee: Client, hub: hubs.TestHub
) -> None:
    url = reverse("vtn:ven_action", args=[hub.ven_id, verb])
    for _ in range(2):  # pressed twice, asked once
        assert dee.post(url).status_code == 302

    assert QueuedMessage.objects.filter(ven=hub.ven, kind=kind).count() == 1
    assert "Queued: the VEN is" in ven_page(dee, hub)
    wanted = m.RequestReregistration if verb == "reregister" else m.CancelPartyRegistration
    assert isinstance(hub.polls(), wanted)


def test_a_message_is_taken_back_and_a_dead_one_tried_again(
    dee: Client, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    def act(verb: str, message: int, ven_id: str = hub.ven_id) -> None:
        dee.post(reverse("vtn:ven_action", args=[ven_id, verb]), {"message": message})

    act("reregister", 0)
    row = QueuedMessage.objects.get()
    act("withdraw", row.pk, stranger.ven_id)
    act("retry", row.pk)
    row.refresh_from_db()
    assert row.state == "queued"
    assert "only a message that was given up" in ven_page(dee, hub).lower()

    act("withdraw", row.pk)

    row.refresh_from_db()
    assert (row.state, row.note) == ("withdrawn", "withdrawn by staff")
    QueuedMessage.objects.update(state="dead")
    assert "Try again" in ven_page(dee, hub)
    act("retry", row.pk)
    assert isinstance(hub.polls(), m.RequestReregistration)


def test_the_set_of_events_is_not_taken_back(dee: Client, vtn: Vtn, hub: hubs.TestHub) -> None:
    vtn.publish(notice_to(hub.ven_id), key="k", at=AT)
    row = QueuedMessage.objects.get()

    dee.post(reverse("vtn:ven_action", args=[hub.ven_id, "withdraw"]), {"message": row.pk})

    assert "cancel the event" in ven_page(dee, hub)
    only_event(hub.polls())


@pytest.mark.parametrize(("text", "kept"), [("30", 30), ("", None), ("0", 99), ("x", 99), ("86401", 99)])
def test_the_poll_interval_is_set(text: str, kept: int | None, dee: Client, hub: hubs.TestHub) -> None:
    Ven.objects.update(poll_seconds=99)

    dee.post(reverse("vtn:ven_action", args=[hub.ven_id, "poll-interval"]), {"seconds": text})

    assert Ven.objects.get(pk=hub.ven.pk).poll_seconds == kept
    assert ("whole seconds from 1" in ven_page(dee, hub)) == (kept == 99)


def test_clearing_ends_the_registration_at_once(dee: Client, hub: hubs.TestHub) -> None:
    dee.post(reverse("vtn:ven_action", args=[hub.ven_id, "clear-registration"]))

    hub.ven.refresh_from_db()
    assert not hub.ven.is_registered
    dee.post(reverse("vtn:ven_action", args=[hub.ven_id, "reregister"]))
    assert "not registered" in ven_page(dee, hub)


def test_revoking_wants_a_reason_and_takes_effect(dee: Client, hub: hubs.TestHub) -> None:
    url = reverse("vtn:ven_action", args=[hub.ven_id, "revoke"])

    dee.post(url, {"fingerprint": hub.fingerprint})
    assert "Reason: say why" in ven_page(dee, hub)
    dee.post(url, {"fingerprint": hub.fingerprint, "reason": "stolen"})

    certificate = VenCertificate.objects.get(ven=hub.ven)
    assert certificate.revocation_reason == "stolen"
    assert AuditEntry.objects.get(verb="vtn.certificate.revoked").actor.startswith("user:")
    dee.post(url, {"fingerprint": hub.fingerprint, "reason": "again"})
    assert "No such certificate is in force" in ven_page(dee, hub)
    for unknown in ("0" * 64, "\0"):
        assert dee.post(url, {"fingerprint": unknown, "reason": "x"}).status_code == 302
        assert "no certificate of the fingerprint" in ven_page(dee, hub)


def test_one_ven_s_certificate_is_not_revoked_through_another(
    dee: Client, hub: hubs.TestHub, stranger: hubs.TestHub
) -> None:
    url = reverse("vtn:ven_action", args=[stranger.ven_id, "revoke"])

    dee.post(url, {"fingerprint": hub.fingerprint, "reason": "x"})

    assert not VenCertificate.objects.filter(revoked_at__isnull=False).exists()


def test_security_is_set_and_taken_back(dee: Client, hub: hubs.TestHub) -> None:
    for verb, security in (("high-security", "high"), ("standard-security", "standard")):
        dee.post(reverse("vtn:ven_action", args=[hub.ven_id, verb]))
        hub.ven.refresh_from_db()
        assert hub.ven.security == security


def test_an_unknown_deed_is_not_found(dee: Client, hub: hubs.TestHub) -> None:
    assert dee.post(reverse("vtn:ven_action", args=[hub.ven_id, "explode"])).status_code == 404


# ---- certificates


def test_enrolling_signs_and_shows_the_certificate_once(dee: Client) -> None:
    response = dee.post("/vtn/enrol/", {"ven_name": "H-77", "csr_pem": csr_of(new_key())})

    ven = Ven.objects.get(ven_name="H-77")
    assert response.content.decode().count("BEGIN CERTIFICATE") >= 2
    assert ven.ven_id in response.content.decode()


@pytest.mark.parametrize("csr", ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA"])
def test_a_bad_request_is_said_at_its_field(csr: str, dee: Client) -> None:
    response = dee.post("/vtn/enrol/", {"ven_name": "H-77", "csr_pem": csr})

    assert response.status_code == 422
    assert "Certificate signing request:" in response.content.decode()
    assert "H-77" in response.content.decode()
    assert not Ven.objects.exists()


def test_a_replaced_hub_keeps_its_ven_and_turns_the_old_one_away(dee: Client, hub: hubs.TestHub) -> None:
    url = reverse("vtn:ven_reissue", args=[hub.ven_id])
    assert "Another certificate" in page_of(dee, url)

    response = dee.post(url, {"csr_pem": csr_of(new_key()), "revoke_others": "on"})

    assert response.status_code == 200
    old, new = VenCertificate.objects.filter(ven=hub.ven).order_by("pk")
    assert (old.revocation_reason, new.revoked_at) == ("hub replaced", None)


def test_a_one_time_code_is_shown_once_and_enrols(dee: Client, hub: hubs.TestHub) -> None:
    shown = dee.post("/vtn/code/", {"subject": "HUB-9", "ven_id": hub.ven_id}).content.decode()

    code = shown.split('<pre class="code" tabindex="0">', 1)[1].split("<", 1)[0]
    assert "Code for HUB-9" in shown
    assert code not in page_of(dee, f"/vtn/code/?ven={hub.ven_id}")
    assert hub.ven_id in page_of(dee, f"/vtn/code/?ven={hub.ven_id}")
    assert EnrolmentCode.objects.get().ven == hub.ven


@pytest.mark.parametrize("fields", [{"subject": ""}, {"subject": "a:b"}, {"subject": "H", "ven_id": "VEN-x"}])
def test_a_code_that_cannot_be_issued_is_not(fields: dict[str, str], dee: Client) -> None:
    assert dee.post("/vtn/code/", fields).status_code == 422
    assert not EnrolmentCode.objects.exists()


# ---- the message log


def test_bodies_are_watched_read_by_few_and_listed(dee: Client, hub: hubs.TestHub) -> None:
    from vtn import messagelog

    dee.post(reverse("vtn:ven_action", args=[hub.ven_id, "watch"]))
    body = codec.serialise(m.RequestEvent("R1", hub.ven_id))
    messagelog.note(
        messagelog.Exchange(
            hub.ven.pk, "EiEvent", None, "oadrRequestEvent", "oadrDistributeEvent", 200, AT, request_body=body
        )
    )
    entry = hub.ven.messages.get()

    assert "oadrRequestEvent" in page_of(
        dee, f"/vtn/messages/?ven={hub.ven_id}&kind=with_body&service=EiEvent"
    )
    assert "&lt;oadr:oadrRequestEvent" in page_of(dee, f"/vtn/messages/{entry.pk}/")
    assert "your role does not read" in page_of(browser("dispatcher"), f"/vtn/messages/{entry.pk}/")
    assert "No message is like that" in page_of(dee, "/vtn/messages/?kind=refused")
    dee.post(reverse("vtn:ven_action", args=[hub.ven_id, "unwatch"]))
    assert VenWatch.objects.get(ven=hub.ven).bodies_until_wall_at is None


def test_a_certificate_that_ends_soon_stands_out(dee: Client, hub: hubs.TestHub) -> None:
    VenCertificate.objects.filter(ven=hub.ven).update(not_after=clock.wall_now() + timedelta(days=5, hours=1))

    assert hub.ven_id in page_of(dee, "/vtn/?certificate=soon")
    assert "5 days left" in ven_page(dee, hub)
