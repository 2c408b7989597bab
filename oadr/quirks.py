"""What clients in homes get wrong, and how it is read all the same.

Each tolerance has a name, mends the one parse tree, and is tried only on a
message the schema has refused; a mended tree must then pass the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lxml import etree

from oadr.elements import EI, OADR, POWER, SCALE, Element, add

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


TOLERANCES: tuple[Callable[[Element], Iterable[Undo]], ...] = (
    unqualified_schema_version,
    opt_type_none,
    power_real_type,
    metadata_without_request_id,
)


def mend(message: Element) -> dict[str, list[Undo]]:
    """Apply every tolerance; return the names of those that changed the tree, with what to undo."""
    mended = {tolerance.__name__: list(tolerance(message)) for tolerance in TOLERANCES}
    return {name: undos for name, undos in mended.items() if undos}


def _nothing() -> None:
    """A change that stays."""
