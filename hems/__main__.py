"""The hub's command line: enrol, run, doctor, override, resume, away, back, fleet."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hems.errors import BadTime, HubError

READY, NOT_READY = 0, 2
TRANSPORTS = ("https", "mqtt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 done, 2 something must be put right first (said on stderr), 75 start anew."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.do(options))
    except HubError as error:
        sys.stderr.write(f"hems: {error}\n")
        return NOT_READY


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hems", description="A home hub: one folder is one hub.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enrol = commands.add_parser("enrol", help="make the hub's key and certificate request")
    enrol.add_argument("--dir", type=Path, required=True, help="the hub's folder")
    enrol.add_argument("--serial", required=True, help="serial number on the box")
    enrol.add_argument("--site", help="the co-op's site, https://HOST: fetch the certificate there")
    enrol.add_argument("--code", help="the one-time code; without it, it is asked for")
    enrol.add_argument("--reference", help="what the code was given for, when not the serial")
    enrol.add_argument(
        "--ca", type=Path, help="PEM file that the site is known by, when the machine does not"
    )
    enrol.set_defaults(do=_enrol)

    run = commands.add_parser("run", help="be the hub until SIGTERM or --until")
    run.add_argument("--dir", type=Path, required=True, help="the hub's folder")
    run.set_defaults(do=_run)
    fleet = commands.add_parser("fleet", help="be several hubs in one process")
    fleet.add_argument("--dirs", type=Path, nargs="+", required=True, help="the hubs' folders")
    fleet.set_defaults(do=_run)
    for command in (run, fleet):
        command.add_argument("--vtn", required=True, help="https://HOST:PORT/OpenADR2/Simple/2.0b")
        command.add_argument("--until", help="world time to stop at, ISO 8601 with offset")
        command.add_argument("--poll-seconds", type=_seconds, help="wall seconds between polls")
        command.add_argument(
            "--transport", choices=TRANSPORTS, help="how to speak with the VTN, in place of hub.toml's word"
        )
        command.add_argument(
            "--shadow-seconds", type=_seconds, default=900.0, help="between two tellings of what this hub is"
        )
        command.add_argument(
            "--quiet-seconds", type=_seconds, default=60.0, help="longest wait after a failure"
        )

    doctor = commands.add_parser("doctor", help="look at everything the hub needs, and say the fix")
    doctor.add_argument("--dir", type=Path, required=True, help="the hub's folder")
    doctor.add_argument("--vtn", help="https://HOST:PORT/OpenADR2/Simple/2.0b: look at the way there too")
    doctor.set_defaults(do=_examine)

    restore = commands.add_parser("restore", help="write the config that the co-op keeps of this hub")
    restore.add_argument("--dir", type=Path, required=True, help="the hub's folder")
    restore.add_argument("--vtn", required=True, help="https://HOST:PORT/OpenADR2/Simple/2.0b")
    restore.set_defaults(do=_restore)

    for word, meaning in (("override", "be out of the event"), ("resume", "take part again")):
        press = commands.add_parser(word, help=f"the member's button: {meaning}")
        press.add_argument("--dir", type=Path, required=True, help="the hub's folder")
        press.set_defaults(do=_press, word=word)

    away = commands.add_parser("away", help="take part in nothing for a while, said ahead")
    away.add_argument("--dir", type=Path, required=True, help="the hub's folder")
    away.add_argument("--from", dest="starts_at", required=True, help="ISO 8601 with offset")
    away.add_argument("--until", dest="ends_at", required=True, help="ISO 8601 with offset")
    away.add_argument("--asset", action="append", default=[], help="this asset alone; may be given again")
    away.set_defaults(do=_away)
    back = commands.add_parser("back", help="end every absence (`resume` joins what it opted out of)")
    back.add_argument("--dir", type=Path, required=True, help="the hub's folder")
    back.set_defaults(do=_press, word="back")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400")
    return seconds


def _enrol(options: argparse.Namespace) -> int:
    from hems.keys import CA, CERTIFICATE, enrol

    request = enrol(options.dir, serial=options.serial)
    if options.site:
        from hems.enrolment import fetch

        code = options.code or getpass.getpass("One-time code: ")
        reference = options.reference or options.serial
        fetch(options.dir, site=options.site, reference=reference, code=code, ca_file=options.ca)
        sys.stdout.write(f"{options.dir}: enrolled; `python -m hems run --dir {options.dir} --vtn URL`\n")
        return READY
    sys.stdout.write(f"{request}: have it signed, then put {CERTIFICATE} and {CA} into {options.dir}\n")
    return READY


def _examine(options: argparse.Namespace) -> int:
    from hems.doctor import examine

    findings = examine(options.dir, vtn=options.vtn)
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return READY if all(finding.is_good for finding in findings) else NOT_READY


def _restore(options: argparse.Namespace) -> int:
    from hems.link import Link
    from hems.shadow import asked_config, restored_config

    path = restored_config(options.dir, asked_config(Link(options.dir, options.vtn)))
    sys.stdout.write(f"{path}: written; put its password files beside it, then `python -m hems doctor`\n")
    return READY


def _press(options: argparse.Namespace) -> int:
    from hems.button import press

    press(options.dir, options.word)
    sys.stdout.write(f"{options.word}: the hub acts within a second of running\n")
    return READY


def _away(options: argparse.Namespace) -> int:
    from hems.button import press_away

    starts_at, ends_at = _instant("--from", options.starts_at), _instant("--until", options.ends_at)
    press_away(options.dir, starts_at, ends_at, resource_ids=options.asset)
    sys.stdout.write("away: the hub tells the co-op when there is contact\n")
    return READY


def _instant(name: str, text: str) -> datetime:
    from hems.instants import read_instant

    try:
        return read_instant(text)
    except ValueError:
        raise BadTime(
            f"{name} {text!r}: give ISO 8601 with an offset, such as 2026-12-24T09:00:00Z"
        ) from None


def _run(options: argparse.Namespace) -> int:
    from hems.fleet import run

    folders = [options.dir] if "dir" in options else options.dirs
    return run(
        folders,
        vtn=options.vtn,
        until=options.until,
        poll_seconds=options.poll_seconds,
        quiet_seconds=options.quiet_seconds,
        transport=options.transport,
        shadow_seconds=options.shadow_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
