"""The statement on paper: a tagged PDF with the same figures, or a sentence where none can be made."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.urls import reverse

from opendsr.web import statement_page, statement_pdf
from settlement import statements
from tests.web.conftest import Visit
from tests.web.scene import Scene


def opened(pdf: bytes) -> Iterator[bytes]:
    """The PDF's compressed streams, and the rest as it is."""
    yield pdf
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        with suppress(zlib.error):
            yield zlib.decompress(stream)


def test_it_is_a_tagged_pdf(scene: Scene, visit: Visit) -> None:
    statement = scene.statement_of(scene.alice)
    try:
        statement_pdf.render(statement_page.in_words(statements.statement_view(statement)))
    except statement_pdf.PdfUnavailable as error:
        pytest.skip(str(error))

    answer = visit(scene.alice.user).get(reverse("statement_pdf", args=[statement.pk]))

    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"].endswith('.pdf"')
    assert answer.content.startswith(b"%PDF-")
    objects = b"".join(opened(answer.content))
    assert b"/StructTreeRoot" in objects
    assert b"/Lang" in objects


def test_without_the_library_the_page_says_so(
    scene: Scene, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    url = reverse("statement_pdf", args=[scene.statement_of(scene.alice).pk])

    answer = visit(scene.alice.user).get(url, follow=True)

    assert answer.status_code == 200
    assert "Print this page instead" in answer.content.decode()
