"""Reads a page as a person or a screen reader would: headings, labels, texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import html

FIELDS = "//input[not(@type='hidden')] | //select | //textarea"
INLINE = (
    "//*[@style or @onclick or @onload or @onsubmit or @onchange] | //style"
    " | //script[not(@src) and not(@type='application/json')]"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A parsed page."""

    tree: html.HtmlElement

    @property
    def heading(self) -> str:
        """The one main heading."""
        (heading,) = self.tree.xpath("//h1")
        return words(heading)

    def text(self, path: str = "//main") -> str:
        """All text below the first match, spaces squeezed."""
        return words(self.tree.xpath(path)[0])

    def cells(self, caption_or_id: str) -> list[list[str]]:
        """Body rows of the table in the section labelled by the id."""
        rows = self.tree.xpath(f"//*[@aria-labelledby='{caption_or_id}']//tbody/tr")
        return [[words(cell) for cell in row.xpath("./th | ./td")] for row in rows]

    def faults(self) -> list[str]:
        """What is wrong with the page as a document, whatever it says."""
        found = []
        if self.tree.get("lang") not in ("en-GB", "en-gb"):
            found.append("no language")
        if len(self.tree.xpath("//h1")) != 1:
            found.append(f"{len(self.tree.xpath('//h1'))} main headings")
        if not self.tree.xpath("//title") or not words(self.tree.xpath("//title")[0]):
            found.append("no title")
        ids = self.tree.xpath("//@id")
        found += [f"id {each} twice" for each in {each for each in ids if ids.count(each) > 1}]
        for field in self.tree.xpath(FIELDS):
            labels = self.tree.xpath("//label[@for=$id]", id=field.get("id") or "")
            if not labels and not field.get("aria-label") and field.get("aria-hidden") != "true":
                found.append(f"no label: {field.get('name')}")
        for name in ("for", "aria-labelledby", "aria-describedby"):
            for value in self.tree.xpath(f"//@{name}"):
                found += [f"{name} points nowhere: {each}" for each in value.split() if each not in ids]
        found += [f"no text in a {each.tag}" for each in self.tree.xpath("//button | //a") if not words(each)]
        found += ["a heading cell without scope" for _ in self.tree.xpath("//th[not(@scope)]")]
        found += [f"inline: {html.tostring(each)[:80]!r}" for each in self.tree.xpath(INLINE)]
        if any("Traceback" in text or "{{" in text or "{%" in text for text in self.tree.xpath("//text()")):
            found.append("machinery shows")
        return found


def seen(response: Any) -> Seen:
    """The page of an answer."""
    return Seen(html.document_fromstring(response.content.decode()))


def words(element: html.HtmlElement) -> str:
    """The element's text with its spaces squeezed."""
    return " ".join(" ".join(element.itertext()).split())
