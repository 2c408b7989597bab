"""Turns a refusal by a named database constraint into the domain's own error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from opendsr.kernel.errors import DomainError


@contextmanager
def refused_as(**errors: DomainError) -> Iterator[None]:
    """Run the block in a savepoint; when constraint `name` refuses it, raise the error given under that name.

    Any other integrity error propagates: it is a bug, not an anticipated refusal.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        named = errors.get(getattr(diagnosis, "constraint_name", None) or "")
        if named is None:
            raise
        raise named from error
