"""What clients in homes get wrong, and how it is read all the same.

Each tolerance has a name, mends the one parse tree, and is tried only on a
message the schema has refused; a mended tree must then pass the schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from lxml import etree

from oadr import schema
from oadr.elements import EI, OADR, POWER, PYLD, SCALE, STRM, XCAL, Element, add, local_name

Undo = Callable[[], None]


def unqualified_schema_version(message: Element) -> Iterator[Undo]:
    """pyoadr-ven writes `schemaVersion` without its namespace."""
    version = message.get("schemaVersion")
    if version is not None:
        del message.attrib["schemaVersion"]
        message.set(EI("schemaVersion"), version)
        yield _nothing


def opt_type_none(message: Element) -> Iterator[Undo]:
    """pyoadr-ven answers `none`, outside the enumeration, until its owner decides.

    The word is put back after validation: it means no decision, not out.
    """
    for element in message.iter(EI("optType")):
        if (element.text or "").strip() == "none":
            element.text = "optOut"
            yield lambda element=element: setattr(element, "text", "none")  # type: ignore[misc]


def power_real_type(message: Element) -> Iterator[Undo]:
    """pyoadr-ven names powerReal after its type and leaves scale and attributes out."""
    for name in (OADR("PowerRealType"), POWER("PowerRealType")):
        for element in list(message.iter(name)):
            element.tag = POWER("powerReal")
            for child in element:
                if etree.QName(child).localname in ("itemDescription", "itemUnits"):
                    child.tag = POWER(etree.QName(child).localname)
            if element.find(SCALE("siScaleCode")) is None:
                add(element, SCALE("siScaleCode"), "none")
            if element.find(POWER("powerAttributes")) is None:
                attributes = add(element, POWER("powerAttributes"))
                add(attributes, POWER("hertz"), "0")
                add(attributes, POWER("voltage"), "0")
                add(attributes, POWER("ac"), "true")
            yield _nothing


def metadata_without_request_id(message: Element) -> Iterator[Undo]:
    """pyoadr-ven leaves reportRequestID out of METADATA reports, where it is always 0 (rule 311)."""
    for report in message.iter(OADR("oadrReport")):
        specifier = report.find(EI("reportSpecifierID"))
        is_metadata = (report.findtext(EI("reportName")) or "").strip().startswith("METADATA_")
        if specifier is None or not is_metadata or report.find(EI("reportRequestID")) is not None:
            continue
        element = etree.Element(EI("reportRequestID"))
        element.text = "0"
        specifier.addprevious(element)
        yield _nothing


def answer_without_request_id(message: Element) -> Iterator[Undo]:
    """pyoadr-ven leaves requestID out of oadrCreatedEvent's eiResponse: it is read as an empty one."""
    if message.tag != OADR("oadrCreatedEvent"):
        return
    for element in message.iter(EI("eiResponse"), EI("eventResponse")):
        if element.find(PYLD("requestID")) is None:
            before = element.find(EI("responseDescription"))
            if before is None:
                before = element.find(EI("responseCode"))
            if before is not None:
                missing = etree.Element(PYLD("requestID"))
                missing.text = ""
                before.addnext(missing)
                yield _nothing


_AT_HOME = {
    "oadrReportPayload": OADR("oadrReportPayload"),
    "oadrPayloadResourceStatus": OADR("oadrPayloadResourceStatus"),
    "payloadFloat": EI("payloadFloat"),
}


def report_values_in_the_other_namespace(message: Element) -> Iterator[Undo]:
    """pyoadr-ven writes ei:oadrReportPayload with an oadr:payloadFloat in it: each under the other's name."""
    for intervals in message.iter(STRM("intervals")):
        for element in intervals.iter(OADR("payloadFloat"), *(EI(name) for name in _AT_HOME)):
            home = _AT_HOME[local_name(element)]
            if element.tag != home:
                element.tag = home
                yield _nothing


def update_without_values(message: Element) -> Iterator[Undo]:
    """pyoadr-ven reports on time also when it has nothing to report, with an empty list of intervals.

    Told from other clients' mistakes by its schemaVersion without a namespace.
    """
    if message.tag != OADR("oadrUpdateReport") or message.get("schemaVersion") is None:
        return
    for report in message.iter(OADR("oadrReport")):
        intervals = report.find(STRM("intervals"))
        if intervals is not None and not len(intervals):
            report.remove(intervals)
            yield _nothing


_FRACTION = re.compile(r"([+-]?P[^.]*T[^.]*?)(\d+\.\d+)S", re.ASCII)


def fraction_of_a_second(message: Element) -> Iterator[Undo]:
    """pyoadr-ven measures how long an interval took: PT59.9S, where a duration has whole seconds."""
    for element in message.iter(XCAL("duration")):
        match = _FRACTION.fullmatch((element.text or "").strip())
        if match is not None and len(match[2]) < 30:
            element.text = f"{match[1]}{round(float(match[2]))}S"
            yield _nothing


def unknown_report_elements(message: Element) -> Iterator[Undo]:
    """Makers add elements of their own to reports: what the schemas have no name for is passed over.

    An element that they do name, in a place that is none of its own, is refused as ever.
    """
    if message.tag not in (OADR("oadrRegisterReport"), OADR("oadrUpdateReport")):
        return
    known = schema.element_names()
    for element in list(message.iterdescendants("*")):
        parent = element.getparent()
        if element.tag not in known and parent is not None:
            parent.remove(element)
            yield _nothing


TOLERANCES: tuple[Callable[[Element], Iterable[Undo]], ...] = (
    update_without_values,  # before the sign it is told by is mended
    unqualified_schema_version,
    opt_type_none,
    power_real_type,
    metadata_without_request_id,
    answer_without_request_id,
    report_values_in_the_other_namespace,
    fraction_of_a_second,
    unknown_report_elements,  # after those that give an element its right name
)


def mend(message: Element) -> dict[str, list[Undo]]:
    """Apply every tolerance; return the names of those that changed the tree, with what to undo."""
    mended = {tolerance.__name__: list(tolerance(message)) for tolerance in TOLERANCES}
    return {name: undos for name, undos in mended.items() if undos}


def _nothing() -> None:
    """A change that stays."""
