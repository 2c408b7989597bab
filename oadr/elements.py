"""Reading and building schema elements: namespaces, plain values, and the parts services share."""

from __future__ import annotations

import math
from datetime import datetime
from typing import cast

from lxml import etree

from oadr.errors import InvalidValue
from oadr.messages import ActivePeriod, EiResponse, Target, Unit
from oadr.timeformat import format_datetime, format_duration, parse_datetime, parse_duration

Element = etree._Element


class Namespace:
    """A namespace; call it with a local name for the qualified one."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __call__(self, local: str) -> str:
        return f"{{{self.uri}}}{local}"


OADR = Namespace("http://openadr.org/oadr-2.0b/2012/07")
EI = Namespace("http://docs.oasis-open.org/ns/energyinterop/201110")
PYLD = Namespace("http://docs.oasis-open.org/ns/energyinterop/201110/payloads")
XCAL = Namespace("urn:ietf:params:xml:ns:icalendar-2.0")
STRM = Namespace("urn:ietf:params:xml:ns:icalendar-2.0:stream")
EMIX = Namespace("http://docs.oasis-open.org/ns/emix/2011/06")
POWER = Namespace("http://docs.oasis-open.org/ns/emix/2011/06/power")
SCALE = Namespace("http://docs.oasis-open.org/ns/emix/2011/06/siscale")
GML = Namespace("http://www.opengis.net/gml/3.2")
DS = Namespace("http://www.w3.org/2000/09/xmldsig#")

NSMAP = {
    "oadr": OADR.uri,
    "ei": EI.uri,
    "pyld": PYLD.uri,
    "xcal": XCAL.uri,
    "strm": STRM.uri,
    "emix": EMIX.uri,
    "power": POWER.uri,
    "scale": SCALE.uri,
    "gml": GML.uri,
}


# ---- plain values


def add(parent: Element, tag: str, text: str | None = None) -> Element:
    """Append a child, with text when given."""
    child = etree.SubElement(parent, tag)
    if text is not None:
        try:
            child.text = text
        except ValueError as error:
            raise InvalidValue(f"{local_name(child)}: characters XML cannot carry") from error
    return child


def add_if(parent: Element, tag: str, text: str) -> None:
    """Append a child unless the text is empty."""
    if text:
        add(parent, tag, text)


def local_name(element: Element) -> str:
    return etree.QName(element).localname


def line_of(element: Element) -> int | None:
    """Return the line the element stood on, None for one built here."""
    return cast("int | None", element.sourceline)


def require(parent: Element, tag: str) -> Element:
    """Return the child; its absence past validation is still the sender's fault."""
    for child in parent.iterchildren(tag):  # several times as quick as `find`
        return child
    raise InvalidValue(f"{local_name(parent)} lacks {etree.QName(tag).localname}")


def text_of(parent: Element, tag: str) -> str:
    """Return the child's text as written, "" when it is absent or empty."""
    for child in parent.iterchildren(tag):  # several times as quick as `findtext`
        return str(child.text or "")
    return ""


def texts_by_tag(parent: Element) -> dict[str, str]:
    """Return the children's text as written, of an element in which the schema lets none come twice."""
    return {str(child.tag): str(child.text or "") for child in parent}


def texts_of(parent: Element, tag: str) -> tuple[str, ...]:
    return tuple(child.text or "" for child in parent.findall(tag))


def token_of(parent: Element, tag: str) -> str:
    """Return the child's text with outer white space dropped: enumerations, numbers, dates."""
    return text_of(parent, tag).strip()


def integer_of(parent: Element, tag: str) -> int | None:
    token = token_of(parent, tag)
    return to_integer(token) if token else None


def to_integer(token: str) -> int:
    """Return an unsigned 32-bit number; the schema has bounded it already."""
    if len(token) > 40:
        raise InvalidValue("a number of more than forty digits")
    try:
        return int(token)
    except ValueError as error:
        raise InvalidValue(f"not a whole number: {token!r}") from error


def float_of(parent: Element, tag: str) -> float | None:
    token = token_of(parent, tag)
    return to_float(token) if token else None


def to_float(token: str) -> float:
    try:
        return float(token)
    except ValueError as error:
        raise InvalidValue(f"not a number: {token[:40]!r}") from error


def from_float(value: float) -> str:
    """Return the shortest exact text, with the schema's names for what is no number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    return repr(float(value)).removesuffix(".0")


def boolean_of(parent: Element, tag: str) -> bool | None:
    token = token_of(parent, tag)
    return token in ("true", "1") if token else None


def from_boolean(value: bool) -> str:
    return "true" if value else "false"


def datetime_of(parent: Element, tag: str) -> datetime:
    return parse_datetime(token_of(parent, tag))


# ---- xcal


def add_duration(parent: Element, tag: str, seconds: int) -> None:
    add(add(parent, tag), XCAL("duration"), format_duration(seconds))


def duration_of(parent: Element, tag: str) -> int | None:
    """Return the seconds in a child of type DurationProp, None when it is absent."""
    child = parent.find(tag)
    return None if child is None else parse_duration(text_of(child, XCAL("duration")))


def add_start(parent: Element, at: datetime) -> None:
    add(add(parent, XCAL("dtstart")), XCAL("date-time"), format_datetime(at))


def start_of(parent: Element) -> datetime | None:
    child = parent.find(XCAL("dtstart"))
    return None if child is None else datetime_of(child, XCAL("date-time"))


def add_uid(parent: Element, uid: str) -> None:
    add(add(parent, XCAL("uid")), XCAL("text"), uid)


def uid_of(parent: Element) -> str:
    child = parent.find(XCAL("uid"))
    return "" if child is None else token_of(child, XCAL("text"))


def add_properties(parent: Element, period: ActivePeriod, *, is_event: bool) -> None:
    """Append xcal:properties; an event's always states notification, ramp-up and recovery (rule 105)."""
    properties = add(parent, XCAL("properties"))
    add_start(properties, period.starts_at)
    add_duration(properties, XCAL("duration"), period.duration_seconds)
    if period.start_tolerance_seconds:
        tolerate = add(add(properties, XCAL("tolerance")), XCAL("tolerate"))
        add(tolerate, XCAL("startafter"), format_duration(period.start_tolerance_seconds))
    for tag, seconds in (
        (EI("x-eiNotification"), period.notification_seconds),
        (EI("x-eiRampUp"), period.ramp_up_seconds),
        (EI("x-eiRecovery"), period.recovery_seconds),
    ):
        if is_event or seconds:
            add_duration(properties, tag, seconds)


def properties_of(parent: Element) -> ActivePeriod:
    properties = require(parent, XCAL("properties"))
    starts_at = start_of(properties)
    if starts_at is None:
        raise InvalidValue("properties lack dtstart")
    startafter = properties.findtext(f"{XCAL('tolerance')}/{XCAL('tolerate')}/{XCAL('startafter')}")
    return ActivePeriod(
        starts_at=starts_at,
        duration_seconds=duration_of(properties, XCAL("duration")) or 0,
        start_tolerance_seconds=parse_duration(startafter) if startafter else 0,
        notification_seconds=duration_of(properties, EI("x-eiNotification")) or 0,
        ramp_up_seconds=duration_of(properties, EI("x-eiRampUp")) or 0,
        recovery_seconds=duration_of(properties, EI("x-eiRecovery")) or 0,
    )


# ---- parts that several services share


def add_response(parent: Element, response: EiResponse) -> None:
    element = add(parent, EI("eiResponse"))
    add(element, EI("responseCode"), f"{response.code:03d}")
    add_if(element, EI("responseDescription"), response.description)
    add(element, PYLD("requestID"), response.request_id)


def response_of(parent: Element) -> EiResponse:
    element = require(parent, EI("eiResponse"))
    return EiResponse(
        code=to_integer(token_of(element, EI("responseCode"))),
        description=text_of(element, EI("responseDescription")),
        request_id=text_of(element, PYLD("requestID")),
    )


_RING = "/".join(GML(name) for name in ("FeatureCollection", "location", "Polygon", "exterior", "LinearRing"))


def add_target(parent: Element, tag: str, target: Target) -> None:
    """Append an EiTarget in the schema's order."""
    element = add(parent, tag)
    for wrapper, inner, values in (
        (POWER("aggregatedPnode"), POWER("node"), target.aggregated_pnodes),
        (POWER("endDeviceAsset"), POWER("mrid"), target.end_device_assets),
        (POWER("meterAsset"), POWER("mrid"), target.meter_assets),
        (POWER("pnode"), POWER("node"), target.pnodes),
    ):
        for value in values:
            add(add(element, wrapper), inner, value)
    _add_rings(element, EMIX("serviceArea"), target.service_areas)
    for value in target.service_delivery_points:
        add(add(element, POWER("serviceDeliveryPoint")), POWER("node"), value)
    _add_rings(element, POWER("serviceLocation"), target.service_locations)
    for receipt, delivery in target.transport_interfaces:
        interface = add(element, POWER("transportInterface"))
        add(interface, POWER("pointOfReceipt"), receipt)
        add(interface, POWER("pointOfDelivery"), delivery)
    for name, values in (
        ("groupID", target.group_ids),
        ("groupName", target.group_names),
        ("resourceID", target.resource_ids),
        ("venID", target.ven_ids),
        ("partyID", target.party_ids),
    ):
        for value in values:
            add(element, EI(name), value)


def _add_rings(parent: Element, tag: str, rings: tuple[str, ...]) -> None:
    for ring in rings:
        element = add(parent, tag)
        for name in ("FeatureCollection", "location", "Polygon", "exterior", "LinearRing"):
            element = add(element, GML(name))
        add(element, GML("posList"), ring)


def target_of(parent: Element, tag: str) -> Target | None:
    element = parent.find(tag)
    if element is None:
        return None
    ring = f"{_RING}/{GML('posList')}"
    return Target(
        ven_ids=texts_of(element, EI("venID")),
        group_ids=texts_of(element, EI("groupID")),
        group_names=texts_of(element, EI("groupName")),
        resource_ids=texts_of(element, EI("resourceID")),
        party_ids=texts_of(element, EI("partyID")),
        end_device_assets=texts_of(element, f"{POWER('endDeviceAsset')}/{POWER('mrid')}"),
        meter_assets=texts_of(element, f"{POWER('meterAsset')}/{POWER('mrid')}"),
        pnodes=texts_of(element, f"{POWER('pnode')}/{POWER('node')}"),
        aggregated_pnodes=texts_of(element, f"{POWER('aggregatedPnode')}/{POWER('node')}"),
        service_delivery_points=texts_of(element, f"{POWER('serviceDeliveryPoint')}/{POWER('node')}"),
        service_areas=texts_of(element, f"{EMIX('serviceArea')}/{ring}"),
        service_locations=texts_of(element, f"{POWER('serviceLocation')}/{ring}"),
        transport_interfaces=tuple(
            (text_of(interface, POWER("pointOfReceipt")), text_of(interface, POWER("pointOfDelivery")))
            for interface in element.findall(POWER("transportInterface"))
        ),
    )


_POWER_UNITS = ("powerReal", "powerReactive", "powerApparent")
_UNIT_NAMESPACES = {
    **dict.fromkeys(("voltage", "energyApparent", "energyReactive", "energyReal", *_POWER_UNITS), POWER),
    **dict.fromkeys(("energyItem", "powerItem"), POWER),
    **dict.fromkeys(("currency", "currencyPerKWh", "currencyPerKW", "currencyPerThm"), OADR),
    **dict.fromkeys(("customUnit", "current", "frequency", "Therm", "temperature", "pulseCount"), OADR),
}


def add_unit(parent: Element, unit: Unit) -> None:
    """Append the item element named by the unit; an unknown name raises InvalidValue."""
    namespace = _UNIT_NAMESPACES.get(unit.name)
    if namespace is None:
        raise InvalidValue(f"no such unit: {unit.name!r}")
    element = add(parent, namespace(unit.name))
    add(element, namespace("itemDescription"), unit.description)
    add(element, namespace("itemUnits"), unit.units)
    if unit.pulse_factor is not None:
        add(element, OADR("pulseFactor"), from_float(unit.pulse_factor))
        return
    add(element, SCALE("siScaleCode"), unit.scale)
    if unit.name in (*_POWER_UNITS, "powerItem"):
        attributes = add(element, POWER("powerAttributes"))
        add(attributes, POWER("hertz"), unit.hertz)
        add(attributes, POWER("voltage"), unit.voltage)
        add(attributes, POWER("ac"), from_boolean(bool(unit.is_ac)))


def unit_of(parent: Element) -> Unit | None:
    """Return the item element among the children; kinds with no plain unit (Green Button) give None."""
    for element in parent:
        name = local_name(element)
        namespace = _UNIT_NAMESPACES.get(name)
        if namespace is None or element.tag != namespace(name):
            continue
        attributes = element.find(POWER("powerAttributes"))
        return Unit(
            name=name,
            description=token_of(element, namespace("itemDescription")),
            units=token_of(element, namespace("itemUnits")),
            scale=token_of(element, SCALE("siScaleCode")) or "none",
            hertz="" if attributes is None else token_of(attributes, POWER("hertz")),
            voltage="" if attributes is None else token_of(attributes, POWER("voltage")),
            is_ac=None if attributes is None else boolean_of(attributes, POWER("ac")),
            pulse_factor=float_of(element, OADR("pulseFactor")),
        )
    return None
