"""Search in the stock admin where names lie sealed: whole words of names, whole numbers such as an MPAN."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from opendsr.kernel import blind_index
from opendsr.kernel.sealed_field import SealedTextField


class SearchesWords:
    """Mixed into an admin page: `word_fields` are paths to word indexes, `whole_fields` to blind indexes."""

    word_fields: ClassVar[tuple[str, ...]] = ()
    whole_fields: ClassVar[tuple[str, ...]] = ()
    search_help_text: Any = "Whole words of names and addresses; other columns by any part."

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """What lies sealed has no order."""
        sealed = {
            field.name
            for field in self.model._meta.concrete_fields  # type: ignore[attr-defined]
            if isinstance(field, SealedTextField)
        }
        return [each for each in super().get_sortable_by(request) if each not in sealed]  # type: ignore[misc]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What the other columns give, and rows that have every word of the term."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)  # type: ignore[misc]
        hashes = blind_index.words(search_term)
        if not hashes:
            return found, may_repeat
        named = Q(pk__in=found.order_by().values("pk"))
        for path in self.word_fields:
            named |= Q(**{f"{path}__contains": hashes})
        for path in self.whole_fields:
            named |= Q(**{path: search_term.strip()})
        return queryset.filter(named), True
