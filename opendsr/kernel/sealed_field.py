"""A model field whose text lies sealed in the database, under the key of the person whose row it is.

Reading the attribute opens it, saving the row seals it anew only when it was set. What would put plain text
into SQL (`filter(name=...)`, `update(name=...)`) is refused; looking things up is what `blind_index` is for.
A field that names its `index` is looked up by that: `filter(email="ann@example.org")`.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast
from uuid import UUID

from django import forms
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import Col
from django.db.models.fields import AutoFieldMixin
from django.db.models.lookups import Exact, In
from django.db.models.query_utils import DeferredAttribute

from opendsr.kernel import encryption

ERASED: Final = "erased"
"""What a sealed text reads as once the person's key was shredded."""


class Sealed(bytes):
    """A sealed text as it lies in the database; it shows nothing when it is written out."""

    def __str__(self) -> str:
        return "<sealed>"

    __repr__ = __str__


class Opened(DeferredAttribute):
    """The attribute: opens what was read from the database when it is first asked for."""

    field: SealedTextField

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        value = super().__get__(instance, cls)
        if isinstance(value, Sealed):
            value = self.field.opened(instance, value)
            instance.__dict__[self.field.attname] = value
        return value

    def __set__(self, instance: Any, value: object) -> None:
        instance.__dict__[self.field.attname] = value
        if isinstance(value, Sealed):
            subject_id = instance.__dict__.get(self.field.subject_attname(instance))
            if subject_id is not None:
                encryption.expect(subject_id)


class ByIndex:
    """A lookup of a sealed field, turned to the column that holds its blind index."""

    def __init__(self, lhs: Any, rhs: Any) -> None:
        if not isinstance(lhs, Col) or hasattr(rhs, "resolve_expression"):
            raise FieldError("a sealed field is looked up as a column and by a value, not by an expression")
        column: Any = lhs.target.model._meta.get_field(cast("SealedTextField", lhs.target).index)
        super().__init__(Col(lhs.alias, column, column), rhs)  # type: ignore[call-arg]


class IndexExact(ByIndex, Exact):
    """`exact` and `iexact`: the index knows no case."""


class IndexIn(ByIndex, In):
    """`in`."""


class IsEmpty(Exact):
    """`exact` with an empty text, which is stored empty: the one thing that shows of a sealed text."""

    def __init__(self, lhs: Any, rhs: Any) -> None:
        if rhs != "":
            raise FieldError("a sealed field cannot be looked up, but for being empty: use a blind index")
        super().__init__(lhs, rhs)


BY_INDEX: Final = {"exact": IndexExact, "iexact": IndexExact, "in": IndexIn}


class SealedTextField(models.Field):  # type: ignore[type-arg]
    """Text sealed for `subject`: the attribute of the row that says whose it is, the row's own id by default.
    A field that is the subject stands before it in the model, so that a page's keys come in one statement.

    `longest` bounds the text and `pattern` gives its form, which the database cannot see any more; an empty
    text is stored empty. `index` names the BlindIndexField of the row by which it is looked up. A row that
    the database numbers is told from others by its subject.
    """

    descriptor_class = Opened
    empty_strings_allowed = True
    empty_values = (None, "", b"")

    def __init__(
        self,
        *args: Any,
        subject: str = "pk",
        longest: int = 4_000,
        pattern: str = "",
        index: str = "",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)
        self.subject, self.longest, self.pattern, self.index = subject, longest, pattern, index

    def get_internal_type(self) -> str:
        return "BinaryField"

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        how = {"subject": self.subject, "longest": self.longest, "pattern": self.pattern}
        found_by = {"index": self.index} if self.index else {}
        return name, path, args, {**kwargs, **how, **found_by}

    def get_default(self) -> Any:
        return ""

    def subject_attname(self, instance: models.Model) -> str:
        """The name under which the row holds whose it is."""
        return str(instance._meta.pk.attname) if self.subject == "pk" else self.subject

    def opened(self, instance: models.Model, sealed: bytes) -> str:
        """The text of a value that was read with the row; ERASED when the key is gone."""
        if not sealed:
            return ""
        try:
            return encryption.unseal(self._subject_id(instance), sealed, self._context(instance))
        except encryption.KeyShredded:
            return ERASED

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname, "")
        if isinstance(value, Sealed) or not value:
            return Sealed(value or b"")
        if len(value) > self.longest:
            raise ValueError(f"{self.name} is longer than {self.longest} characters")
        if self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            raise ValueError(f"{self.name} is not in its form")
        return Sealed(encryption.seal(self._subject_id(model_instance), value, self._context(model_instance)))

    def from_db_value(self, value: Any, expression: object, connection: object) -> Sealed | None:
        """What lies there, still sealed."""
        return None if value is None else Sealed(value)

    def get_prep_value(self, value: Any) -> Any:
        if value == "":
            return b""
        if isinstance(value, str):
            raise TypeError(
                f"{self.name} is sealed: set it on the row and save that; plain text never goes out"
            )
        return value

    def get_lookup(self, lookup_name: str) -> Any:
        if self.index and lookup_name in BY_INDEX:
            return BY_INDEX[lookup_name]
        if lookup_name == "exact":
            return IsEmpty
        raise FieldError(f"{self.name} is sealed and cannot be looked up by {lookup_name}: use a blind index")

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        kwargs = {"form_class": forms.CharField, "max_length": self.longest, **kwargs}
        return super().formfield(*args, **kwargs)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))

    def _subject_id(self, instance: models.Model) -> UUID:
        found = getattr(instance, self.subject_attname(instance))
        if not isinstance(found, UUID):
            raise TypeError(f"{self.name} has nobody to be sealed for: set {self.subject} first")
        return found

    def _context(self, instance: models.Model) -> str:
        is_numbered = isinstance(instance._meta.pk, AutoFieldMixin)
        row = self._subject_id(instance) if is_numbered else instance.pk
        return f"{instance._meta.db_table}|{self.column}|{row}"
