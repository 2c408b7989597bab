"""The 2.0a endpoint: a device with a certificate and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from oadr import messages as m
from oadr import simple
from opendsr.kernel import clock
from opendsr.kernel.interval import Interval
from tests.vtn import hubs, test_wsgi
from tests.vtn.hubs import AT, HOUR, notice_to
from vtn import wsgi
from vtn.models import Security, Ven
from vtn.port import START, Signal, SignalInterval, Vtn
from vtn.services import simple as simple_devices

pytestmark = pytest.mark.django_db

PRICE = Signal("ELECTRICITY_PRICE", "price", (SignalInterval(2 * HOUR, 0.3),), unit="gbp_per_kwh")


@pytest.fixture
def device() -> hubs.TestHub:
    """Never registered: 2.0a has no registration."""
    return hubs.new_hub("water heater")


def says(device: hubs.TestHub, message: m.Message) -> m.Message:
    device.ven.refresh_from_db()
    return simple_devices.answer(service="EiEvent", ven=device.ven, message=message, at=AT).message


def asks(device: hubs.TestHub) -> m.DistributeEvent:
    reply = says(device, m.RequestEvent("R7", device.ven_id))
    assert isinstance(reply, m.DistributeEvent)
    return reply


def test_a_device_asks_is_told_and_answers(vtn: Vtn, device: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(device.ven_id), key="k", at=AT)

    event = hubs.only_event(asks(device))
    assert event.event_id == event_id
    assert vtn.acknowledgement(event_id, at=AT).state == "delivered"
    reply = says(device, device.answer_to(event))
    assert isinstance(reply, m.Response)
    assert reply.response.code == m.OK
    assert vtn.opts_since(START)[0][0].opt == "in"
    assert vtn.acknowledgement(event_id, at=AT).state == "acknowledged"
    assert Ven.objects.get(pk=device.ven.pk).profile_name == "2.0a"


def test_an_event_it_has_no_words_for_is_not_called_delivered(vtn: Vtn, device: hubs.TestHub) -> None:
    event_id = vtn.publish(notice_to(device.ven_id, signals=(PRICE,)), key="k", at=AT)

    assert asks(device).events == ()
    assert vtn.acknowledgement(event_id, at=AT).state == "queued"


def test_another_devices_name_is_463(device: hubs.TestHub, stranger: hubs.TestHub) -> None:
    reply = says(device, m.RequestEvent("R7", stranger.ven_id))

    assert isinstance(reply, m.DistributeEvent)
    assert reply.response is not None
    assert reply.response.code == m.NOT_REGISTERED


def test_what_only_a_vtn_says_is_453(device: hubs.TestHub) -> None:
    reply = says(device, m.DistributeEvent("R", "COOP-VTN"))

    assert isinstance(reply, m.Response)
    assert reply.response.code == m.NOT_RECOGNIZED


class TestOverHttp:
    @pytest.fixture(autouse=True)
    def _keep_the_tests_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)

    def test_the_reply_is_2_0a_too(self, vtn: Vtn, device: hubs.TestHub) -> None:
        now = clock.now().replace(microsecond=0)
        notice = notice_to(
            device.ven_id,
            signals=(PRICE, *notice_to("").signals),
            interval=Interval(now, now + timedelta(hours=2)),
        )
        vtn.publish(notice, key="k", at=now)
        body = simple.serialise(m.RequestEvent("R7", device.ven_id))

        replied = test_wsgi.post(device, body, path=wsgi.SIMPLE_PATH)

        assert replied.status == 200
        message = simple.parse_body(replied.body).message
        assert hubs.only_event(message).signals[0].name == "SIMPLE"

    def test_a_device_of_high_security_cannot_come_this_way(self, device: hubs.TestHub) -> None:
        Ven.objects.filter(pk=device.ven.pk).update(security=Security.HIGH)

        replied = test_wsgi.post(
            device, simple.serialise(m.RequestEvent("R7", device.ven_id)), path=wsgi.SIMPLE_PATH
        )

        assert replied.status == 403

    def test_a_2_0b_body_is_refused_in_2_0a(self, device: hubs.TestHub) -> None:
        replied = test_wsgi.post(device, test_wsgi.poll_of(device), path=wsgi.SIMPLE_PATH)

        assert replied.status == 400
        assert isinstance(simple.parse_body(replied.body).message, m.Response)
