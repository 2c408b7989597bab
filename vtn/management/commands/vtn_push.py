"""`manage.py vtn_push`: call the VENs that want to be pushed to, at the addresses staff have set."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from opendsr.kernel import calling_out, clock
from vtn.models import Ven
from vtn.transports import push


class Command(BaseCommand):
    help = "Push what the queue holds to VENs in push mode; or, with VEN and URL, set where one is called."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ven_id", nargs="?", help="set this VEN's address and end")
        parser.add_argument("url", nargs="?", default="", help="https://HOST[:PORT][/PREFIX]; none clears it")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["ven_id"]:
            self.set(options["ven_id"], options["url"])
            return
        connections.close_all()
        is_ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: is_ended.set())
        self.stderr.write("VTN push: ready.")
        push.Pusher(push.caller(at=clock.wall_now())).run(is_alive=lambda: not is_ended.is_set())

    def set(self, ven_id: str, url: str) -> None:
        if not Ven.objects.filter(ven_id=ven_id).exists():
            raise CommandError(f"No VEN {ven_id}.")
        try:
            push.set_push_url(ven_id=ven_id, url=url)
        except calling_out.NotCalled as error:
            raise CommandError(f"{url}: {error}") from error
        self.stdout.write(f"{ven_id} is {'called at ' + url if url else 'no longer called'}.")
