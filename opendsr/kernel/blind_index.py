"""Looking sealed texts up by a keyed hash (HMAC-SHA-256) that says nothing without its key.

The key is OPENDSR_INDEX_KEY (or OPENDSR_INDEX_KEY_FILE), base64 of 32 bytes, and no other key's: who has the
database alone can tell that two rows hold the same word, and not which. `kind` keeps one column's hashes from
being compared with another's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models, transaction

from opendsr.kernel import encryption
from opendsr.kernel.env import env_secret
from opendsr.kernel.sealed_field import Sealed, SealedTextField

VARIABLE: Final = "OPENDSR_INDEX_KEY"
KEY_BYTES: Final = 32
INDEX_BYTES: Final = 16
BATCH: Final = 500
WORD: Final = re.compile(r"[^\W_]+")


def key() -> bytes:
    """The key in the environment; ImproperlyConfigured when it is absent or malformed."""
    return _parsed(env_secret(VARIABLE))


def index(kind: str, text: str) -> bytes:
    """The hash of a whole text, whatever its case and spaces."""
    return _hmac(kind, " ".join(text.casefold().split()))[:INDEX_BYTES]


def words(text: str) -> list[int]:
    """The hashes of the words in a text, whatever their case and accents, each once and in order of hash."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    found = {int.from_bytes(_hmac("word", each)[:8], signed=True) for each in WORD.findall(plain)}
    return sorted(found)


class BlindIndexField(models.Field):  # type: ignore[type-arg]
    """The hash of another, sealed field of the row; kept by itself, and looked up by the plain text.

    `filter(mpan_index="1600...")` and `__in` hash what they are given.
    """

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        super().__init__(*args, **{"editable": False, "null": True, **kwargs})
        self.of = of

    def get_internal_type(self) -> str:
        return "BinaryField"

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        given = model_instance.__dict__.get(self.of, "")
        if not isinstance(given, Sealed):
            setattr(model_instance, self.attname, index(self.of, given) if given else None)
        return getattr(model_instance, self.attname)

    def get_prep_value(self, value: Any) -> Any:
        return index(self.of, value) if isinstance(value, str) else value

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name not in ("exact", "in", "isnull"):
            raise FieldError(f"{self.name} knows whole texts only, not {lookup_name}")
        return super().get_lookup(lookup_name)


class WordsField(ArrayField):  # type: ignore[type-arg]
    """Hashes of the words in other, sealed fields of the row: `filter(words__contains=words("ann ash"))`."""

    def __init__(self, base_field: Any = None, *args: Any, of: tuple[str, ...] = (), **kwargs: Any) -> None:
        kwargs = {"editable": False, "default": list, **kwargs}
        super().__init__(base_field or models.BigIntegerField(), *args, **kwargs)
        self.of = tuple(of)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        given = [model_instance.__dict__.get(each, "") for each in self.of]
        if any(not isinstance(each, Sealed) for each in given):
            text = " ".join(str(getattr(model_instance, each)) for each in self.of)
            setattr(model_instance, self.attname, words(text))
        return getattr(model_instance, self.attname)


class SealedQuerySet(models.QuerySet):  # type: ignore[type-arg]
    """Rows with sealed fields: many at once with one statement for their keys."""

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> Any:
        """As Django's; each row's key is made or read beforehand."""
        rows = list(objs)
        sealed = [each for each in self.model._meta.concrete_fields if isinstance(each, SealedTextField)]
        subjects = {getattr(row, field.subject_attname(row)) for row in rows for field in sealed}
        with transaction.atomic(using=self.db), encryption.sealing_for(subjects):
            return super().bulk_create(rows, *args, **kwargs)


class SealedModel(models.Model):
    """A row with sealed fields: whichever of them is saved, what it is found by is saved with it."""

    objects = SealedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """As Django's."""
        if update_fields is not None:
            update_fields = set(update_fields)
            for field in self._meta.concrete_fields:
                of = getattr(field, "of", ())
                if update_fields & ({of} if isinstance(of, str) else set(of)):
                    update_fields.add(field.name)
        super().save(*args, update_fields=update_fields, **kwargs)


def rebuild(model: type[models.Model]) -> int:
    """Write the indexes of the model's rows anew, for a new OPENDSR_INDEX_KEY; how many rows had others.

    What is empty stays so: an erased row is found by nothing. Safe to stop and to run again.
    """
    fields = [each for each in model._meta.concrete_fields if isinstance(each, BlindIndexField | WordsField)]
    ids = list(model._base_manager.order_by("pk").values_list("pk", flat=True)) if fields else []
    rebuilt = 0
    for first in range(0, len(ids), BATCH):
        with transaction.atomic(), encryption.remembering():
            rows = model._base_manager.select_for_update(no_key=True).filter(
                pk__in=ids[first : first + BATCH]
            )
            stale = [row for row in rows.order_by("pk") if _renew(row, fields)]
            model._base_manager.bulk_update(stale, [each.name for each in fields])
        rebuilt += len(stale)
    return rebuilt


def _renew(row: models.Model, fields: list[BlindIndexField | WordsField]) -> bool:
    """Set the row's indexes to what they should be; True when one was otherwise."""
    was_stale = False
    for field in fields:
        kept = getattr(row, field.attname)
        if not kept:
            continue
        new: bytes | list[int]
        if isinstance(field, BlindIndexField):
            kept, new = bytes(kept), index(field.of, getattr(row, field.of))
        else:
            new = words(" ".join(str(getattr(row, each)) for each in field.of))
        setattr(row, field.attname, new)
        was_stale = was_stale or kept != new
    return was_stale


def _hmac(kind: str, text: str) -> bytes:
    return hmac.new(key(), f"{kind}|{text}".encode(), hashlib.sha256).digest()


@lru_cache(maxsize=4)
def _parsed(text: str) -> bytes:
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImproperlyConfigured(f"{VARIABLE} is not base64: {encryption.NEW_KEY_COMMAND}") from error
    if len(found) != KEY_BYTES:
        raise ImproperlyConfigured(
            f"{VARIABLE} is {len(found)} bytes long; it must be {KEY_BYTES}: {encryption.NEW_KEY_COMMAND}"
        )
    return found
