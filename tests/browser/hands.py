"""Ways to work a page: by mouse at a desk, without a script on the narrowest phone, by the keyboard alone.

A journey is told once, in what somebody presses and fills in; a hand does each step its own way and checks
what holds for every page on the way: never moved sideways, and by keyboard that each stop of Tab can be seen
and none holds the focus.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import ElementHandle, FilePayload, Locator, Page, expect

MOST_TABS: Final = 45
"""From the top of a page, or from where the last step left the focus."""
LONGEST_STAY: Final = 9
"""Presses of Tab within one control: a date and time to the second has seven parts and a button."""
PICTURES: Final = os.environ.get("OPENDSR_PICTURES", "")
"""A folder to put a picture of each step into, for whoever works on the pages."""

STOP = """(target) => {
  const here = document.activeElement;
  if (here === null || here === document.body) return {at: "body", isTarget: false, trouble: ""};
  const look = getComputedStyle(here);
  const box = here.getBoundingClientRect();
  const name = here.id || here.name || here.innerText || here.getAttribute("href") || here.tagName;
  const isSeen = (look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2);
  const [above, below] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const [x, y] = [box.left + box.width / 2, (above + below) / 2];
  const isInView = below - above >= Math.min(box.height, 12) && x >= 0 && x <= innerWidth;
  const top = isInView ? document.elementFromPoint(x, y) : null;
  const isOver = top !== null && (here.contains(top) || top.contains(here));
  const place = target ? here.compareDocumentPosition(target) : 0;
  return {
    at: `${here.tagName} ${name}`.slice(0, 60),
    isTarget: here === target,
    isBefore: Boolean(place & Node.DOCUMENT_POSITION_PRECEDING),
    trouble: !isSeen ? "focus cannot be seen" : !isInView ? "is outside the window"
      : !isOver ? "is covered" : "",
  };
}"""
IN_MAIN = "(each) => Boolean(each.closest('main'))"
WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@dataclass(slots=True)
class Hand:
    """By mouse; the other hands differ in how they press and fill in. `where` narrows to one named part."""

    page: Page
    picture: str = ""
    where: Locator | None = None
    steps: int = 0

    @property
    def part(self) -> Page | Locator:
        """What is looked at."""
        return self.page if self.where is None else self.where

    def within(self, name: str) -> Hand:
        """The same hand in one section of the page, by its heading."""
        return replace(self, where=self.page.get_by_role("region", name=name, exact=True))

    def go(self, path: str) -> None:
        """Type an address, or follow a link of a letter."""
        self.page.goto(path)
        self.look()

    def press(self, name: str) -> None:
        """A link or button that leads to a page."""
        found = self._leading(name)
        self.reach(found)
        with self.page.expect_navigation(wait_until="domcontentloaded"):
            self.touch(found)
        self.look()

    def tap(self, name: str) -> None:
        """Something that changes the page where it stands, or opens a part of it."""
        summary = self.part.locator("summary").filter(has_text=re.compile(rf"^\s*{re.escape(name)}\s*$"))
        found = self.part.get_by_role("button", name=name, exact=True).or_(summary)
        self.touch(found.locator("visible=true").first)

    def open_menu(self, name: str) -> None:
        """A menu of the bar."""
        self.touch(self.page.locator("details.menu > summary").filter(has_text=re.compile(f"^{name}$")))

    def fill(self, **values: str) -> None:
        """Fields by their label, with `_` for a space."""
        for label, value in values.items():
            self.write(label.replace("_", " "), value)

    def write(self, label: str, value: str) -> None:
        self.field(label).fill(value)

    def choose(self, label: str, option: str) -> None:
        """An option of a list by its words."""
        self.field(label).select_option(option)

    def tick(self, label: str) -> None:
        """A box."""
        self.field(label).check()

    def attach(self, label: str, file: FilePayload) -> None:
        """A file, by the browser's own window."""
        found = self.field(label)
        self.reach(found)
        with self.page.expect_file_chooser() as chooser:
            self.touch(found)
        chooser.value.set_files(file)

    def download(self, name: str) -> str:
        """The text of the file that a link gives."""
        found = self._leading(name)
        self.reach(found)
        with self.page.expect_download() as download:
            self.touch(found)
        return Path(download.value.path()).read_text(encoding="utf-8-sig")

    def sees(self, *texts: str) -> None:
        """The words are somewhere in it."""
        for text in texts:
            expect(self.part.get_by_text(text).locator("visible=true").first).to_be_visible()

    def keeps_its_place(self) -> None:
        """What was tapped has changed in place; nothing to lose by mouse."""

    def reach(self, found: Locator) -> ElementHandle:
        """Go to it, and hand it over."""
        return found.element_handle()

    def touch(self, found: Locator) -> None:
        found.click()

    def field(self, label: str) -> Locator:
        told = re.compile(rf"^\s*{re.escape(label)}(\s+\(optional\))?\s*$")
        return self.part.get_by_label(told).locator("visible=true").first

    def look(self) -> None:
        """What holds for every page; and a picture for whoever wants one."""
        assert not self.page.evaluate(WIDE), f"{self.page.url} has to be moved sideways"
        expect(self.page.get_by_role("heading", level=1)).to_have_count(1)
        self.keep_picture()

    def keep_picture(self) -> None:
        if PICTURES and self.picture:
            self.steps += 1
            name = f"{self.picture}-{self.steps:02}.png"
            self.page.screenshot(path=Path(PICTURES) / name, full_page=True)

    def _leading(self, name: str) -> Locator:
        link = self.part.get_by_role("link", name=name, exact=True)
        found = self.part.get_by_role("button", name=name, exact=True).or_(link)
        return found.locator("visible=true").first


class KeyboardHand(Hand):
    """By Tab, Shift+Tab, Enter, Space, arrows, and typing."""

    __slots__ = ()

    def touch(self, found: Locator) -> None:
        handle = self.reach(found)
        is_link = handle.evaluate("(element) => ['A', 'SUMMARY'].includes(element.tagName)")
        self.page.keyboard.press("Enter" if is_link else "Space")

    def keeps_its_place(self) -> None:
        """The focus is on what took the place of what was pressed."""
        expect(self.page.locator("main :focus")).to_have_count(1)

    def write(self, label: str, value: str) -> None:
        """Days and times go in as the browser's own language has them, which is American (`conftest.py`)."""
        handle = self.reach(self.field(label))
        kind = handle.evaluate("(element) => element.type")
        if kind == "date":
            year, month, day = value.split("-")
            value = f"{month}{day}{year}"
        elif kind == "time":
            hour, minute = (int(each) for each in value.split(":"))
            value = f"{hour % 12 or 12:02}{minute:02}{'p' if hour >= 12 else 'a'}"
        elif kind == "datetime-local":
            at = datetime.fromisoformat(value)
            self.page.keyboard.type(f"{at:%m%d%Y}")
            self.page.keyboard.press("ArrowRight")  # a year may have six digits
            value = f"{at:%I%M%S%p}"
        elif kind == "textarea":
            self.page.keyboard.press("Control+a")
        self.page.keyboard.type(value)

    def choose(self, label: str, option: str) -> None:
        handle = self.reach(self.field(label))
        told = "(element) => [element.options[element.selectedIndex].text.trim(), element.selectedIndex]"
        wanted = handle.evaluate(
            "(element, option) => [...element.options].findIndex((each) => each.text.trim() === option)",
            option,
        )
        for _ in range(50):
            _text, place = handle.evaluate(told)
            if place == wanted:
                return
            self.page.keyboard.press("ArrowDown" if place < wanted else "ArrowUp")
        raise AssertionError(f"{option!r} of {label!r} is not reached by arrows")

    def tick(self, label: str) -> None:
        handle = self.reach(self.field(label))
        self.page.keyboard.press("Space")
        assert handle.is_checked()

    def reach(self, found: Locator) -> ElementHandle:
        """Tab to it, forwards or backwards as it lies; past the bar by the link that skips it."""
        found.wait_for()
        target = found.element_handle()
        stop = self.page.evaluate(STOP, target)
        stays = 0
        for number in range(MOST_TABS):
            if stop["isTarget"]:
                return target
            before = stop["at"]
            self.page.keyboard.press("Shift+Tab" if stop.get("isBefore") else "Tab")
            stop = self._stop(target)
            assert stop["trouble"] == "", f"{stop['at']} on {self.page.url}: {stop['trouble']}"
            stays = stays + 1 if stop["at"] == before else 0
            assert stays < LONGEST_STAY, f"{stop['at']} on {self.page.url} holds the focus"
            if number == 0 and stop["at"].endswith("Skip to the content") and target.evaluate(IN_MAIN):
                self.page.keyboard.press("Enter")
                self.page.wait_for_function("document.activeElement.id === 'main'")
                stop = self.page.evaluate(STOP, target)
        raise AssertionError(f"{found} is not reached by {MOST_TABS} presses of Tab on {self.page.url}")

    def _stop(self, target: ElementHandle) -> dict[str, Any]:
        """Where the focus is; a page that still scrolls there is given a moment."""
        for _ in range(5):
            stop: dict[str, Any] = self.page.evaluate(STOP, target)
            if not stop["trouble"]:
                break
            self.page.wait_for_timeout(50)
        return stop


@dataclass(frozen=True, slots=True)
class Way:
    """How a journey is taken."""

    kind: type[Hand]
    width: int
    has_javascript: bool


WAYS: Final = {
    "mouse": Way(Hand, 1280, True),
    "no_script": Way(Hand, 320, False),
    "keyboard": Way(KeyboardHand, 1280, True),
}
