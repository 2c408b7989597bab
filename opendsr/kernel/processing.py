"""The record of processing (UK GDPR Art. 30): what each room says of its tables with personal data.

Which tables those are is read from the models: whatever points at a person, their home or their account, by
however many steps, or holds a sealed text or an address. A test holds both together, so that a new model with
personal data has to say what for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models import BinaryField, EmailField, Model

from opendsr.kernel.sealed_field import SealedTextField

NAMES: Final = frozenset(
    {"email", "full_name", "address", "postcode", "mpan", "phone", "stream_id", "subject_id"}
)
"""Field names that are about a person wherever they stand."""
BY_KEY: Final = "sealed"


@dataclass(frozen=True, slots=True)
class Processing:
    """Why some tables are held: shared by models that are held for the same reason."""

    models: tuple[str, ...]
    what: str
    purpose: str
    basis: str
    keeping: str
    recipients: str = "nobody outside the co-op"


@dataclass(frozen=True, slots=True)
class Row:
    """One table of the record."""

    model: str
    table: str
    what: str
    purpose: str
    basis: str
    keeping: str
    recipients: str
    encryption: str


def reaching(models: Iterable[type[Model]], targets: Iterable[str]) -> set[str]:
    """Labels of the models that point at one of the targets, by however many steps, the targets with them."""
    found, models = set(targets), list(models)
    while True:
        more = {
            model._meta.label
            for model in models
            for field in model._meta.get_fields()
            if field.concrete and field.is_relation and field.related_model is not None
            if field.related_model._meta.label in found
        }
        if more <= found:
            return found
        found |= more


def names_somebody(model: type[Model]) -> bool:
    """True when a field of the model is about a person by its kind or by its name."""
    return any(
        isinstance(field, SealedTextField | EmailField) or field.name in NAMES
        for field in model._meta.concrete_fields
    )


def encryption_of(model: type[Model]) -> str:
    """How the model's fields lie in the database."""
    sealed = [
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, SealedTextField) or (isinstance(field, BinaryField) and field.name == BY_KEY)
    ]
    return f"{', '.join(sealed)}: sealed with the person's own key" if sealed else "as the disk"


def rows(declared: Iterable[Processing], models: Iterable[type[Model]]) -> Iterator[Row]:
    """The record, a line a table, in the order declared. Raises KeyError on a model there is not."""
    known = {model._meta.label: model for model in models}
    for each in declared:
        for label in each.models:
            model = known[label]
            yield Row(
                model=label,
                table=model._meta.db_table,
                what=each.what,
                purpose=each.purpose,
                basis=each.basis,
                keeping=each.keeping,
                recipients=each.recipients,
                encryption=encryption_of(model),
            )
