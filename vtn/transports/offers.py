"""Which transports this VTN offers a VEN, and in which words it refuses the others.

XMPP is carried by MQTT here (`docs/decisions/0016-mqtt-carries-xmpp.md`): the schema knows
two names only, so a VEN that wants the MQTT binding registers as `xmpp` with the address
`mqtt:<venID>`. Pushing over HTTP wants a URL that staff have set; what a VEN says of its
own address is never called.
"""

from __future__ import annotations

from django.conf import settings

from oadr import messages as m
from oadr import topics
from vtn.models import Ven
from vtn.services.refusing import Refused

SIMPLE_HTTP, XMPP = "simpleHttp", "xmpp"
ADDRESS_PREFIX = "mqtt:"


def mqtt_url() -> str:
    """Return where VENs find the broker, "" where there is none."""
    return str(getattr(settings, "VTN_MQTT_PUBLIC_URL", "") or getattr(settings, "VTN_MQTT_URL", ""))


def profiles() -> tuple[m.Profile, ...]:
    """Return what a query is told."""
    return (m.Profile("2.0b", (SIMPLE_HTTP, XMPP) if mqtt_url() else (SIMPLE_HTTP,)),)


def service_info(vtn_id: str) -> tuple[m.ServiceInfo, ...]:
    """Return where the services are found over MQTT (XMPP's service discovery)."""
    if not mqtt_url():
        return ()
    info = (("mqtt", mqtt_url()), ("prefix", f"{topics.ROOT}/{vtn_id}/ven/"))
    return tuple(m.ServiceInfo(service, info) for service in topics.SERVICES)


def require_offered(message: m.CreatePartyRegistration, *, ven: Ven) -> None:
    """Refuse (451) a profile or transport that this VTN does not carry for this VEN, saying what it does."""
    if message.profile_name != "2.0b":
        raise Refused(m.NOT_ALLOWED, "only profile 2.0b is offered")
    if message.transport_name == XMPP:
        if not mqtt_url():
            raise Refused(m.NOT_ALLOWED, "only simpleHttp in pull mode is offered, no xmpp")
        if message.transport_address != f"{ADDRESS_PREFIX}{ven.ven_id}":
            raise Refused(
                m.NOT_ALLOWED, f"xmpp is carried by MQTT: register the address {ADDRESS_PREFIX}{ven.ven_id}"
            )
    elif message.transport_name != SIMPLE_HTTP:
        raise Refused(m.NOT_ALLOWED, "only simpleHttp and xmpp are known")
    elif message.is_http_pull is False and not ven.push_url:
        raise Refused(
            m.NOT_ALLOWED, "only pull mode is offered, until the operator sets an address to push to"
        )
