"""Writes every statement of a run as the two files a member would keep: the page, and the table as CSV."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import RequestFactory

from opendsr.web import statement_page
from settlement import statement_csv, statement_json, statements
from settlement.models import SettlementRun

SHEET = "css/opendsr.css"


def write_statements(run: SettlementRun, folder: Path, *, site: str) -> int:
    """Write `<member number>.html`, `.csv` and `.json` into the folder, emptied first; how many members.

    The page carries its stylesheet with it; its links lead to `site`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    style = (Path(settings.BASE_DIR) / "static" / SHEET).read_text()
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    found = run.round.statements.select_related("member", "round__programme", "occupancy__home")
    rows = list(found.order_by("member__number"))
    for row, view in zip(rows, statements.statement_views(rows), strict=True):
        page = statement_page.in_words(view)
        html = render_to_string("settlement/statement.html", {"statement": page}, request=request)
        head = f'<head>\n    <base href="{site}">\n    <style>\n{style}</style>'
        (folder / f"{row.member.number}.html").write_text(html.replace("<head>", head, 1))
        (folder / f"{row.member.number}.csv").write_text(statement_csv.render(view), encoding="utf-8-sig")
        (folder / f"{row.member.number}.json").write_text(statement_json.render(view), encoding="utf-8")
    return len(rows)
