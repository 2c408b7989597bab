"""The impersonation suite over MQTT, and against simple devices (2.0a)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from oadr import messages as m
from oadr import mqtt, simple, topics
from tests.vtn import hubs
from tests.vtn.test_impersonation import ROWS, attack, everything, set_scene, speak_without_ven_id
from tests.vtn.test_wsgi import _keep_the_tests_connection as _keep_the_tests_connection
from tests.vtn.test_wsgi import post
from vtn import enrolling
from vtn.models import WireLog
from vtn.notices import vtn_id
from vtn.port import Vtn
from vtn.transports import mqtt_work

pytestmark = pytest.mark.django_db


def through_mqtt(hub: hubs.TestHub | None, service: str, body: bytes) -> int:
    """As the broker hands it on: the topic is what its access list lets this certificate write to."""
    topic = topics.topic(vtn_id(), hub.ven_id if hub else "VEN-nobody", "up", service)
    taken = mqtt_work.take([mqtt.Publish(topic, body, packet_id=1, correlation=b"c")], vtn_id=vtn_id())
    if not taken.replies:
        return 403
    (reply,) = taken.replies
    return int(dict(reply.user).get("oadr-error", "200"))


MQTT_ROWS: Final = [(service, kind) for service, kind in ROWS if service in topics.SERVICES]


@pytest.mark.parametrize(
    ("service", "kind"), MQTT_ROWS, ids=[f"{service}-{kind.__name__}" for service, kind in MQTT_ROWS]
)
def test_nobody_speaks_for_another_over_mqtt(
    db: None, vtn: Vtn, monkeypatch: pytest.MonkeyPatch, service: str, kind: type
) -> None:
    monkeypatch.setattr(mqtt_work, "close_old_connections", lambda: None)
    scene = set_scene(vtn)

    attack(scene, through_mqtt, service, kind, is_wrapped=False)
    speak_without_ven_id(scene, through_mqtt, service, kind)

    body = scene.signed(scene.says(kind), by=scene.victim, at=datetime.now(UTC))
    assert through_mqtt(scene.victim, service, body) == 200
    before = everything()
    assert through_mqtt(scene.victim, service, body) == 400
    assert everything() == before


@pytest.mark.parametrize("kind", [m.RequestEvent, m.CreatedEvent])
def test_nobody_speaks_for_another_simple_device(db: None, vtn: Vtn, kind: type) -> None:
    scene = set_scene(vtn)
    body = simple.serialise(scene.says(kind))

    def ask(hub: hubs.TestHub | None) -> int:
        return post(hub, body, path="/OpenADR2/Simple/EiEvent").status

    before = everything()
    assert ask(None) == 403
    assert ask(scene.attacker) == 200
    assert WireLog.objects.order_by("-pk")[0].code == str(m.NOT_REGISTERED)
    assert everything() == before
    enrolling.set_security(ven_id=scene.victim.ven_id, security="high", at=hubs.AT, by="staff:7")
    before = everything()
    assert ask(scene.victim) == 403
    assert everything() == before
    assert WireLog.objects.count() == 3
