"""A whole OpenADR 2.0a VEN for one device, small enough for a microcontroller: no parser, no dependencies.

It asks the hub for its events, answers them, and says at every moment which SIMPLE level (0 to 3) holds. An
event it knows runs to its own end, whatever becomes of the hub; one left out of the set, or cancelled, ends
at once. Whoever turns the device by hand is out: the answer says optOut, and the level is 0.

    python -m hems.der_ven --url http://HUB:8090 --ven-id DER-1 --password-file FILE

prints the level when it changes. A port to another language needs strings, integers and one socket.
"""

from __future__ import annotations

import base64
import socket
import sys
import time
from collections.abc import Callable

PATH = "/OpenADR2/Simple/EiEvent"
POLL_SECONDS = 15
LARGEST_ANSWER = 65_536
OADR = "http://openadr.org/oadr-2.0a/2012/07"
PYLD = "http://docs.oasis-open.org/ns/energyinterop/201110/payloads"
EI = "http://docs.oasis-open.org/ns/energyinterop/201110"
NAMESPACES = f'xmlns="{OADR}" xmlns:p="{PYLD}" xmlns:e="{EI}"'
DAY_UNITS = {"W": 604_800, "D": 86_400}
TIME_UNITS = {"H": 3600, "M": 60, "S": 1}


class DerVen:
    """`exchange(body)` asks the hub (raises OSError), `now()` is epoch seconds, `is_out()` the hand on it."""

    def __init__(
        self,
        ven_id: str,
        exchange: Callable[[str], str],
        now: Callable[[], float] = time.time,
        is_out: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ven_id, self.exchange, self.now, self.is_out = ven_id, exchange, now, is_out
        self.events: dict[str, tuple[int, int, int]] = {}
        self.answered: dict[str, tuple[int, str]] = {}
        self.next_poll = 0.0
        self.number = 0
        self.failure = ""

    def turn(self) -> int:
        """Ask the hub when it is time; return the level that holds now."""
        if self.now() >= self.next_poll:
            self.next_poll = self.now() + POLL_SECONDS
            try:
                self.poll()
                self.failure = ""
            except (OSError, ValueError) as error:
                self.failure = str(error)  # what is known runs on
        return self.level()

    def level(self) -> int:
        """Return the highest level of the events that run; 0 while a hand is on the device."""
        now = self.now()
        running = [level for starts, ends, level in self.events.values() if starts <= now < ends]
        return 0 if self.is_out() or not running else max(running)

    def poll(self) -> None:
        """Take the full set of events, and answer what has no answer yet."""
        self.number += 1
        answer = self.exchange(request_event(self.ven_id, f"r{self.number}"))
        if "oadrDistributeEvent" not in answer:
            raise ValueError("the hub's answer is no set of events")
        opt = "optOut" if self.is_out() else "optIn"
        events, versions = {}, {}
        for event in parts(answer, "oadrEvent"):
            event_id = part(event, "eventID")
            versions[event_id] = int(part(event, "modificationNumber") or "0")
            if part(event, "eventStatus") != "cancelled":
                period = part(event, "eiActivePeriod")
                starts = seconds_of(part(period, "date-time"))
                level = int(float(part(part(event, "eiEventSignal"), "value") or "0"))
                lasting = duration_of(part(part(period, "duration"), "duration") or part(period, "duration"))
                events[event_id] = (starts, starts + lasting, min(max(level, 0), 3))
        self.events = events
        self.answered = {each: said for each, said in self.answered.items() if each in versions}
        wanted = [each for each, version in versions.items() if self.answered.get(each) != (version, opt)]
        if wanted:
            opts = [(each, versions[each], opt) for each in wanted]
            reply = self.exchange(created_event(self.ven_id, part(answer, "requestID"), opts))
            if part(reply, "responseCode") == "200":
                self.answered.update({each: (versions[each], opt) for each in wanted})


def request_event(ven_id: str, request_id: str) -> str:
    """Return an oadrRequestEvent."""
    return (
        f"<oadrRequestEvent {NAMESPACES}><p:eiRequestEvent><p:requestID>{request_id}</p:requestID>"
        f"<e:venID>{ven_id}</e:venID></p:eiRequestEvent></oadrRequestEvent>"
    )


def created_event(ven_id: str, request_id: str, opts: list[tuple[str, int, str]]) -> str:
    """Return an oadrCreatedEvent: (event id, modification number, optIn or optOut) for each."""
    said = "".join(
        f"<e:eventResponse><e:responseCode>200</e:responseCode><p:requestID>{request_id}</p:requestID>"
        f"<e:qualifiedEventID><e:eventID>{event_id}</e:eventID><e:modificationNumber>{version}"
        f"</e:modificationNumber></e:qualifiedEventID><e:optType>{opt}</e:optType></e:eventResponse>"
        for event_id, version, opt in opts
    )
    return (
        f"<oadrCreatedEvent {NAMESPACES}><p:eiCreatedEvent><e:eiResponse><e:responseCode>200</e:responseCode>"
        f"<p:requestID></p:requestID></e:eiResponse><e:eventResponses>{said}</e:eventResponses>"
        f"<e:venID>{ven_id}</e:venID></p:eiCreatedEvent></oadrCreatedEvent>"
    )


def parts(text: str, name: str) -> list[str]:
    """Return the contents of every element of that name, whatever its prefix."""
    found: list[str] = []
    at = 0
    while True:
        opens = _tag(text, name, at, "<")
        if opens is None:
            return found
        depth, inner = 1, opens[1]
        while depth:
            closes = _tag(text, name, inner, "</")
            again = _tag(text, name, inner, "<")
            if closes is None:
                return found
            if again is not None and again[0] < closes[0]:
                depth, inner = depth + 1, again[1]
            else:
                depth, inner = depth - 1, closes[1]
                end = closes[0]
        found.append(text[opens[1] : end])
        at = inner


def part(text: str, name: str) -> str:
    """Return the content of the first element of that name, "" when there is none."""
    found = parts(text, name)
    return found[0].strip() if found else ""


def _tag(text: str, name: str, at: int, mark: str) -> tuple[int, int] | None:
    """Return where the next tag of that name begins and ends; an empty element is none."""
    while True:
        at = text.find(mark, at)
        end = text.find(">", at)
        if at < 0 or end < 0:
            return None
        words = text[at + len(mark) : end].split()
        if words and words[0].split(":")[-1] == name and text[end - 1] != "/":
            return at, end + 1
        at = end


def seconds_of(text: str) -> int:
    """Return the epoch seconds of 2026-11-20T17:00:00Z; ValueError for anything else."""
    if len(text) < 20 or text[10] != "T" or text[-1] != "Z":
        raise ValueError(f"{text} is no UTC instant")
    year, month, day = int(text[0:4]), int(text[5:7]), int(text[8:10])
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    # Years that begin in March: February, whose length varies, comes last.
    if month <= 2:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719_469
    return days * 86_400 + hour * 3600 + minute * 60 + second


def duration_of(text: str) -> int:
    """Return the seconds of PT1H30M, P1DT2H and so on; ValueError for months and years: how long are they?"""
    total, digits, units = 0, "", DAY_UNITS
    for letter in text[1:]:
        if letter == "T":
            units = TIME_UNITS
        elif letter.isdigit():
            digits += letter
        elif letter in units and digits:
            total, digits = total + int(digits) * units[letter], ""
        else:
            raise ValueError(f"{text} is no duration in days and hours")
    if text[:1] != "P" or digits or len(text) < 3:
        raise ValueError(f"{text} is no duration in days and hours")
    return total


def over_http(host: str, port: int, ven_id: str, password: str, timeout: float = 10) -> Callable[[str], str]:
    """Return an `exchange` that posts to the hub with HTTP Basic; OSError for any answer but 200."""
    token = base64.b64encode(f"{ven_id}:{password}".encode()).decode()

    def exchange(body: str) -> str:
        data = body.encode()
        head = (
            f"POST {PATH} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Basic {token}\r\n"
            f"Content-Type: application/xml\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        sock = socket.create_connection((host, port), timeout)
        try:
            sock.sendall(head.encode() + data)
            answer = b""
            while len(answer) < LARGEST_ANSWER:
                piece = sock.recv(4096)
                if not piece:
                    break
                answer += piece
        finally:
            sock.close()
        status = answer.split(b"\r\n")[0].decode("ascii", "replace")
        if " 200 " not in status:
            raise OSError(status or "the hub hung up")
        return answer.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")

    return exchange


def main() -> None:
    """Be a VEN that prints its level."""
    import argparse
    from pathlib import Path

    parser = argparse.ArgumentParser(prog="python -m hems.der_ven")
    parser.add_argument("--url", required=True, help="http://HUB:8090")
    parser.add_argument("--ven-id", required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    options = parser.parse_args()
    host, _, port = options.url.removeprefix("http://").rstrip("/").partition(":")
    password = options.password_file.read_text(encoding="utf-8").strip()
    ven = DerVen(options.ven_id, over_http(host, int(port or 80), options.ven_id, password))
    shown = ("", -1)
    while True:
        level = ven.turn()
        if (ven.failure, level) != shown:
            shown = ven.failure, level
            sys.stdout.write(f"level {level} {ven.failure}".rstrip() + "\n")
            sys.stdout.flush()
        time.sleep(1)


if __name__ == "__main__":
    main()
