"""One hub, running: the member's button, the timetable of every asset, the meter log, and contact with the
VTN.

`step` is what happens in the home and needs no network; `contact` talks to the VTN. Whatever the VTN says is
on disk and in the devices' timetables before it is answered. The loop only decides when to look again: what
the home does follows from the book, to the second.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from types import TracebackType
from typing import IO, Any

from hems import button, state, watchdog
from hems.absence import ScheduleNote
from hems.backlog import Backlog
from hems.book import UNREGISTERED, Book
from hems.clock import Clock, SteadiedClock
from hems.devices import DeviceState, Place
from hems.errors import BadFolder, BadTime, HubError, LinkError, Refused, Untrusted
from hems.files import write_atomically
from hems.home import CONFIG, SIMULATION, Incidents, read_home
from hems.instants import HALF_HOUR_SECONDS, whole_second, written
from hems.keys import serial_of
from hems.lines import HTTPS, MQTT, Lines, Way
from hems.link import Link, QuietTime
from hems.renewal import Renewal
from hems.reporting import Reporting, offers, values_of, wanted_of
from hems.shadow import SYNC_SECONDS
from hems.simulation import SimulatedHome
from hems.upkeep import Upkeep
from oadr.messages import DistributeEvent, EventResponse, Report, ReportRequest
from oadr.ven import OptNote, Registration, Ven
from oadr.ven import ScheduleNote as Said

DEFAULT_POLL_SECONDS = 10.0
LOOK_SECONDS = 0.5
STATUS_SECONDS = 1.0
POLL_JITTER = 0.1
READINGS, CURTAILED, STATUS, LOCK = "readings.csv", "curtailed.csv", "status.json", "hub.lock"
OVERRIDE_DONE, RESUME_DONE = "override_at", "resume_at"

log = logging.getLogger("hems")


class NotKept(LinkError):
    """What the VTN said could not be written to disk, so it is not answered: it will be said again."""


class Agent(AbstractContextManager["Agent"]):
    """The hub whose folder this is. Holds the folder's lock from start to `close`."""

    def __init__(
        self,
        folder: Path,
        *,
        vtn: str,
        clock: Clock,
        until: datetime | None = None,
        poll_seconds: float | None = None,
        quiet_seconds: float = 60.0,
        way: Way | None = None,
        shadow_seconds: float = SYNC_SECONDS,
    ) -> None:
        """Raises HubError when the folder is not ready. `poll_seconds` takes the place of what the VTN asks
        for; `quiet_seconds` bounds the wait after failures, `shadow_seconds` lie between two tellings of what
        this hub is. All are wall time. `way` takes the place of what
        `hub.toml` says of the way to the VTN.
        """
        self.folder, self.clock, self.until = folder, SteadiedClock(clock), until
        self.serial = serial_of(folder)
        self.place, self.incidents, configured = _place(folder, self.serial)
        way = way or configured
        self.state, trouble = state.load(folder, seed=self.serial)
        if trouble:
            log.warning("%s: %s", self.serial, trouble)
        self._poll_seconds = poll_seconds
        self._quiet = QuietTime(quiet_seconds)
        self._dice = Random()  # noqa: S311 - spreads polls
        self._renewal = Renewal(folder)
        self._link = Link(folder, vtn, is_up=self._is_up, look=self.clock.look)
        self._lines = Lines(
            folder,
            self._link,
            way=way,
            is_signed=self.state.registration.is_signed,
            wake=self._wake,
            is_up=self._is_up,
        )
        self._reporting = Reporting(self.state.reports, backlog=Backlog(folder))
        self._ven = Ven(
            self._lines,
            self,
            name=self.serial,
            registration=self.state.registration,
            wants_push=way.is_mqtt,
        )
        self._upkeep = Upkeep(
            folder,
            self._link,
            self.place,
            serial=self.serial,
            at=self.clock.now(),
            sync_seconds=shadow_seconds,
        )
        self._next_contact = 0.0
        self._is_stopped = self._is_woken = False
        self._news = threading.Event()
        self._contacts, self._failure, self._last_contact = 0, "", 0.0
        self._is_in_contact = False
        self._logged_until = -1
        self._status, self._status_written = "", 0.0
        self._lock = _locked(folder)
        self._plan()
        if way.is_mqtt:
            self._meet_broker()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the devices back, hang up and let go of the folder."""
        self._reporting.save(is_last=True)
        self._upkeep.close(self.clock.now())
        self._lines.close()
        self.place.close()
        self._lock.close()

    def reported(self) -> dict[str, Any]:
        """What this hub tells the co-op that it is; see `upkeep`."""
        return self._upkeep.reported()

    @property
    def wants_restart(self) -> bool:
        """True once another version of the hub's software is there to be started."""
        return self._upkeep.wants_restart

    def stop(self) -> None:
        """End `run` soon, from a signal handler or another thread."""
        self._is_stopped = True
        self._news.set()
        self._lines.abort()

    def run(self) -> None:
        """Be the hub until `stop` or until world time reaches `until`."""
        log.info("%s: runs, %d assets", self.serial, len(self.place.drivers))
        watchdog.tell("READY=1")
        while not self._is_stopped and not self._upkeep.wants_restart:
            watchdog.tell("WATCHDOG=1")
            self._news.clear()
            at = self.clock.now()
            if self.until is not None and at >= self.until:
                break
            self.step(at)
            if self._is_woken or time.monotonic() >= self._next_contact:
                self.contact()
            self._show(self.clock.now())
            self._news.wait(self._pause())
        watchdog.tell("STOPPING=1")
        at = self.clock.now() if self.until is None else min(self.clock.now(), self.until)
        self.step(at)
        self._show(at, is_stopped=True)
        log.info("%s: stopped", self.serial)

    # ---- in the home

    def step(self, at: datetime) -> None:
        """Carry out what is due by `at` in the home, and log the meter."""
        self._carry_out_incidents(at)
        self._carry_out_presses(at)
        self.place.apply(at)
        for word in self.place.words():
            self._hear("override" if word == "override" else "resume", whole_second(at))
        self._log_meter(at)
        self._sample(at)
        self._upkeep.look(at)

    def _sample(self, at: datetime) -> None:
        """Take the samples that are due for what the VTN has asked to be told."""
        if self._reporting.wanted:
            rated_w = {driver.resource_id: driver.rated_w for driver in self.place.drivers}
            self._reporting.look(values_of(self._telemetry(at), rated_w=rated_w), whole_second(at))
            self._keep_reports(is_forgiving=True)
            self._reporting.save()

    def _telemetry(self, at: datetime) -> list[DeviceState]:
        return [driver.telemetry(at) for driver in self.place.drivers]

    def _keep_reports(self, *, is_forgiving: bool = False) -> None:
        self._keep(replace(self.state, reports=self._reporting.wanted), is_members_word=is_forgiving)

    def _carry_out_incidents(self, at: datetime) -> None:
        incidents = self.incidents
        if incidents.override_at and at >= incidents.override_at and OVERRIDE_DONE not in self.state.done:
            self._hear("override", whole_second(incidents.override_at), done=OVERRIDE_DONE)
        if incidents.resume_at and at >= incidents.resume_at and RESUME_DONE not in self.state.done:
            self._hear("resume", whole_second(incidents.resume_at), done=RESUME_DONE)

    def _carry_out_presses(self, at: datetime) -> None:
        waiting = list(button.presses(self.folder, after=self.state.newest_press))
        for name, word in waiting:
            self._hear(word, whole_second(at), press=name)
        if waiting:
            button.forget(self.folder, until=self.state.newest_press)

    def _hear(self, word: button.Word, at: datetime, *, done: str = "", press: str = "") -> None:
        """The member's word: carried out at once, told to the VTN when there is contact."""
        book, schedules, notes = self._book_after(word, at, press)
        about = [note.event_id for note in notes] or [note.absence.opt_id for note in schedules]
        log.info("%s: member says %s: %s", self.serial, word, about or "no event")
        self._keep(
            replace(
                self.state,
                book=book,
                opts=(*self.state.opts, *notes),
                schedules=(*self.state.schedules, *schedules),
                newest_press=press or self.state.newest_press,
                done=(*self.state.done, done) if done else self.state.done,
            ),
            is_members_word=True,
        )
        if about:
            self._next_contact = min(self._next_contact, time.monotonic())

    def _book_after(
        self, word: button.Word, at: datetime, press: str
    ) -> tuple[Book, list[ScheduleNote], list[OptNote]]:
        book = self.state.book
        if word == "back":
            return *book.come_back(at), []
        if word == "away":
            try:
                starts_at, ends_at, names = button.absence_of(self.folder, press)
            except BadTime as error:
                log.warning("%s: %s", self.serial, error)
                return book, [], []
            return book.leave(starts_at, ends_at, resource_ids=names, assets=self.place.drivers, at=at)
        book, notes = book.override(at) if word == "override" else book.resume(at)
        return book, [], notes

    def _keep(self, fresh: state.State, *, is_members_word: bool = False) -> None:
        """On disk first, then in the devices. The member's word does not wait for a disk that is full."""
        if fresh == self.state:
            return
        try:
            state.save(self.folder, fresh)
        except OSError as error:
            log.warning("%s: state is not kept: %s", self.serial, error)
            if not is_members_word:
                raise NotKept(f"the hub cannot keep what it is told: {error}") from error
        self.state = fresh
        self._plan()

    def _plan(self) -> None:
        self._orders = self._upkeep.within_limits(self.state.book.orders(self.place.drivers))
        self.place.plan(self._orders)

    def _log_meter(self, at: datetime) -> None:
        """Write the CAD's log whenever another half-hour is there."""
        ended = self.place.logged_until(at)
        if ended == self._logged_until:
            return
        try:
            write_atomically(self.folder / READINGS, self.place.readings_csv(at).encode(), is_durable=False)
            write_atomically(self.folder / CURTAILED, self.place.curtailed_csv(at).encode(), is_durable=False)
        except OSError as error:
            log.warning("%s: the meter's log is not written: %s", self.serial, error)
        else:
            self._logged_until = ended

    # ---- with the VTN

    def contact(self) -> None:
        """One round with the VTN, or a note of why not and how long to leave it alone."""
        wait_seconds, self._is_woken = 0.0, False
        try:
            self._ven.contact()
        except LinkError as error:
            if str(error) != self._failure:
                level = logging.WARNING if isinstance(error, Untrusted) else logging.INFO
                log.log(level, "%s: %s", self.serial, error)
            self._failure, self._is_in_contact = str(error), False
            if not isinstance(error, NotKept):
                self._upkeep.journal.contact_failed(error, self.clock.now())
            if self._is_up():
                at_least = error.retry_after_seconds if isinstance(error, Refused) else None
                wait_seconds = self._quiet.failed(at_least or 0.0)
        else:
            self._contacts += 1
            self._quiet.succeeded()
            self._failure, self._is_in_contact, self._last_contact = "", True, time.time()
            self._upkeep.journal.contact_made(self.clock.now())
            self._renew()
            self._tend()
            wait_seconds = self._interval_seconds() * self._dice.uniform(1 - POLL_JITTER, 1 + POLL_JITTER)
        self._next_contact = time.monotonic() + (wait_seconds or LOOK_SECONDS)

    def _renew(self) -> None:
        """Ask for the next certificate when it is time; what goes wrong is tried again in an hour."""
        if not self._renewal.is_due():
            return
        try:
            self._renewal.take(self._link.reenrol(self._renewal.request()))
            self._lines.change_identity()
        except (HubError, LinkError, OSError) as error:
            log.warning("%s: the certificate is not renewed: %s", self.serial, error)
        else:
            log.info("%s: has a new certificate", self.serial)

    def _tend(self) -> None:
        """Follow what the co-op keeps of this hub; what a full disk keeps from it is tried again."""
        try:
            if self._upkeep.tend(self.clock.now(), book=self.state.book):
                self._plan()
        except OSError as error:
            log.warning("%s: what the co-op wants of it is not kept: %s", self.serial, error)

    def _interval_seconds(self) -> float:
        return self._poll_seconds or self.state.registration.poll_seconds or DEFAULT_POLL_SECONDS

    def registered(self, registration: Registration) -> None:
        if registration != self.state.registration:
            log.info("%s: registered as %s", self.serial, registration.ven_id)
            self._keep(replace(self.state, registration=registration))
        self._meet_broker()

    def _meet_broker(self) -> None:
        registration = self.state.registration
        self._lines.meet(registration.mqtt_url, vtn_id=registration.vtn_id, ven_id=registration.ven_id)

    def _is_up(self) -> bool:
        """False while the simulated home has no way out."""
        return not self.incidents.is_offline(self.clock.now())

    def _wake(self) -> None:
        """Have the next round begin now; called from any thread."""
        self._is_woken = True
        self._news.set()

    def take_events(self, message: DistributeEvent) -> Sequence[EventResponse]:
        book, answers = self.state.book.take(
            message,
            at=whole_second(self.clock.now()),
            ven_id=self.state.registration.ven_id,
            assets=self.place.drivers,
            says_no=self.incidents.opt_out_events,
        )
        for answer in answers:
            about = answer.event
            log.info(
                "%s: %s.%d %s %d",
                self.serial,
                about.event_id,
                about.modification_number,
                answer.opt_type,
                answer.code,
            )
        self._keep(replace(self.state, book=book))
        return answers

    def let_go(self) -> None:
        book = self.state.book.stop_all(whole_second(self.clock.now()), UNREGISTERED)
        registration = replace(self.state.registration, registration_id="")
        self._keep(replace(self.state, book=book, registration=registration))

    def report_offers(self) -> tuple[Report, ...]:
        at = self.clock.now()
        return offers(self._telemetry(at), at=whole_second(at))

    def take_report_requests(self, requests: Sequence[ReportRequest]) -> list[str]:
        at = whole_second(self.clock.now())
        offered = [each.r_id for report in self.report_offers() for each in report.descriptions]
        refused = []
        for request in requests:
            wanted = wanted_of(request, at=at, r_ids=offered)
            if wanted is None:
                refused.append(request.report_request_id)
            else:
                log.info("%s: asked to report %s", self.serial, wanted.specifier_id)
                self._reporting.run(wanted)
        self._keep_reports()
        return refused

    def reports_running(self) -> tuple[str, ...]:
        return tuple(each.report_request_id for each in self._reporting.wanted)

    def cancel_reports(self, report_request_ids: Sequence[str]) -> None:
        self._reporting.cancel(report_request_ids)
        self._keep_reports()

    def reports_due(self, of: Sequence[str] | None = None) -> tuple[Report, ...]:
        return self._reporting.due(whole_second(self.clock.now()), of=of)

    def reports_heard(self, reports: Sequence[Report]) -> None:
        self._reporting.heard(reports, whole_second(self.clock.now()))
        self._keep_reports()

    def opts_waiting(self) -> Sequence[OptNote]:
        return self.state.opts

    def version_of(self, note: OptNote) -> int:
        entry = self.state.book.entries.get(note.event_id)
        return note.modification_number if entry is None else entry.modification_number

    def opt_heard(self, note: OptNote) -> None:
        self._keep(replace(self.state, opts=tuple(each for each in self.state.opts if each != note)))

    def schedules_waiting(self) -> Sequence[ScheduleNote]:
        return self.state.schedules

    def schedule_heard(self, note: Said) -> None:
        schedules = tuple(each for each in self.state.schedules if each != note)
        self._keep(replace(self.state, schedules=schedules))

    # ---- to be seen

    def status(self, at: datetime, *, is_stopped: bool = False) -> dict[str, Any]:
        """What a display shows; see status.json in the README of the package."""
        states = self._telemetry(at)
        running = [order.direction for order in self._orders if order.starts_at <= at < order.ends_at]
        return {
            "serial": self.serial,
            "state": "stopped" if is_stopped else self._contact_state(at),
            "ven_id": self.state.registration.ven_id,
            "vtn_id": self.state.registration.vtn_id,
            "contacts": self._contacts,
            "failure": self._failure,
            "clock_ahead_seconds": round(self.clock.ahead_seconds),
            "is_woken": self._lines.is_broker_there,
            "is_signed": self._lines.is_signed,
            "transport": MQTT if self._lines.is_pushed_to else HTTPS,
            "asks": running[0] if running else "",
            "events": [
                {
                    "event_id": entry.event_id,
                    "modification_number": entry.modification_number,
                    "starts_at": written(entry.starts_at),
                    "ends_at": written(entry.ends_at),
                    "phase": entry.phase(at),
                    "opt": entry.opt,
                    "opt_reason": entry.opt_reason,
                }
                for entry in self.state.book.entries.values()
            ],
            "assets": [
                {
                    "resource_id": seen.resource_id,
                    "kind": seen.kind,
                    "power_w": seen.power_w,
                    "is_ordered": seen.is_ordered,
                    "interlock": seen.interlock,
                    "detail": seen.detail,
                    "is_available": seen.is_available,
                }
                for seen in states
            ],
            "absences": [
                {
                    "starts_at": written(each.starts_at),
                    "ends_at": written(each.ends_at),
                    "resource_ids": list(each.resource_ids),
                }
                for each in self.state.book.absences
                if each.ends_at > at
            ],
            "opts_waiting": len(self.state.opts) + len(self.state.schedules),
            "samples_waiting": self._reporting.waiting,
            "samples_thinned": self._reporting.thinned,
            "readings_until": written(
                datetime.fromtimestamp(self._logged_until * HALF_HOUR_SECONDS, at.tzinfo)
            ),
        }

    def _contact_state(self, at: datetime) -> str:
        if self.incidents.is_offline(at):
            return "offline"
        if self._is_in_contact:
            return "online"
        return "no_contact" if self._failure else "starting"

    def _show(self, at: datetime, *, is_stopped: bool = False) -> None:
        """Write status.json when it has news, and now and then as a sign of life."""
        status = self.status(at, is_stopped=is_stopped)
        self.place.show(status)
        news = json.dumps(status)
        if news == self._status and time.monotonic() < self._status_written + STATUS_SECONDS:
            return
        self._status, self._status_written = news, time.monotonic()
        shown = {**status, "world_at": written(at), "last_contact": self._last_contact, "pid": os.getpid()}
        content = json.dumps(shown, indent=1).encode() + b"\n"
        try:
            write_atomically(self.folder / STATUS, content, is_durable=False)
        except OSError as error:
            log.warning("%s: status is not written: %s", self.serial, error)

    def _pause(self) -> float:
        """Wall seconds until something may be due."""
        seconds = [LOOK_SECONDS, self._next_contact - time.monotonic()]
        if self.until is not None:
            seconds.append(self.clock.wall_seconds_until(self.until))
        return max(0.01, min(seconds))


def _place(folder: Path, serial: str) -> tuple[Place, Incidents, Way]:
    """Return the home and its way to the VTN: a real one where there is a `hub.toml`, else the simulated one
    of `home.json`.
    """
    if (folder / CONFIG).exists():
        from hems.config import read_config  # what a simulated home does without costs it no start-up
        from hems.real_home import RealHome

        config = read_config(folder)
        return RealHome(config, folder, hub=serial), Incidents(), config.way
    home = read_home(folder / SIMULATION)
    return SimulatedHome(home), home.incidents, Way()


def _locked(folder: Path) -> IO[str]:
    """One agent a folder; the lock goes with the process."""
    file = (folder / LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise BadFolder(f"{folder} already has a hub running") from None
    return file
