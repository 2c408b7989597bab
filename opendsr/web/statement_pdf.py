"""A statement as a tagged PDF (WeasyPrint), from the same words and the same template parts as its page.

WeasyPrint needs the machine's Pango library; where it is missing, `PdfUnavailable` says what to install.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

from django.conf import settings
from django.template.loader import render_to_string

from opendsr.kernel import installation, logos
from opendsr.kernel.errors import DomainError
from opendsr.web.statement_page import StatementPage

SHEET: Final = "css/statement-print.css"
OWN_PICTURE: Final = "data:image/png;base64,"
TAGGED: Final = "pdf/ua-1"


class PdfUnavailable(DomainError):
    """This machine cannot make PDFs: a library is missing."""

    status = 503
    library: str


def render(page: StatementPage) -> bytes:
    """The PDF's bytes; raises PdfUnavailable."""
    return write(html(page))


def write(document: str) -> bytes:
    """One HTML file as a tagged PDF; raises PdfUnavailable. Nothing is fetched while it is made."""
    try:
        from weasyprint import HTML
    except (ImportError, OSError) as error:
        raise PdfUnavailable(library="Pango (Debian: libpango-1.0-0, libpangoft2-1.0-0)") from error
    made: bytes = HTML(string=document, url_fetcher=_refuse).write_pdf(pdf_variant=TAGGED)
    return made


def html(page: StatementPage) -> str:
    """The statement as one HTML file with its style in it: what the PDF is made of, and a file by itself."""
    style = (Path(settings.BASE_DIR) / "static" / SHEET).read_text()
    coop = installation.current().coop_name
    return render_to_string(
        "settlement/statement_pdf.html",
        {"statement": page, "coop": coop, "logo": logos.data_uri(), "style": style},
    )


def _refuse(url: str, *_args: object, **_kwargs: object) -> object:
    """Read what the document carries in itself, which is the logo alone; refuse all else."""
    if url.startswith(OWN_PICTURE):
        from weasyprint.urls import URLFetcherResponse

        body = base64.b64decode(url.removeprefix(OWN_PICTURE))
        return URLFetcherResponse(url, body, {"Content-Type": "image/png"})
    raise ValueError(f"a document fetches nothing: {url}")
