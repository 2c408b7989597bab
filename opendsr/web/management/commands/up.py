"""`manage.py up`: bring the local database up to date, then serve the whole site until Ctrl-C."""

from __future__ import annotations

import os
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from opendsr.demo import founding
from opendsr.demo.edge import in_plain_words
from opendsr.demo.loading import demo_logins, load_demo
from opendsr.demo.upcoming import ensure_upcoming_event
from opendsr.kernel import clock, installation
from opendsr.kernel.models import Installation
from opendsr.run import bootstrap, up
from opendsr.run.places import var_folder


class Command(BaseCommand):
    """Serve the web, the worker and the VTN on this machine."""

    help = "Serve the site (PORT), the worker and the VTN (VTN_PORT) on this machine; Ctrl-C stops all."

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse in production, where a process manager runs each program."""
        if os.environ.get("OPENDSR_ENV") == "production":
            raise CommandError("`up` is for one machine without a process manager; see docs/install.md.")
        with in_plain_words(stopped="Stopped. `make up` starts again."):
            port = up.port_from_env("PORT", 8000)
            vtn_port = up.port_from_env("VTN_PORT", 8443)
            up.require_free_ports(port=port, vtn_port=vtn_port)
            self._bring_database_up_to_date()
            welcome = self._welcome(port=port, vtn_port=vtn_port)
            with founding.held_for_use():
                connection.close()
                up.serve(
                    var=var_folder(),
                    port=port,
                    vtn_port=vtn_port,
                    welcome=welcome,
                    is_cluster_ours=bootstrap.OURS in os.environ,
                )

    def _bring_database_up_to_date(self) -> None:
        founding.require_ours()
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stderr.write("Bringing the database up to date ...")
            call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        is_empty = not Installation.objects.exists()
        if is_empty or founding.is_cut_short():
            found = "is empty" if is_empty else "holds a demo that was cut short"
            self.stderr.write(f"The database {found}: loading the demo co-op ...")
            with founding.held_alone():
                load_demo()
        if installation.current().is_demo:
            ensure_upcoming_event(at=clock.now())

    def _welcome(self, *, port: int, vtn_port: int) -> list[str]:
        coop = installation.current()
        lines = ["", f"{coop.coop_name} is at http://{up.HOST}:{port}/   (VTN for hubs: port {vtn_port})"]
        if coop.is_demo:
            lines += ["Demo logins:", *(f"  {login}" for login in demo_logins())]
        return [*lines, f"Logs are in {var_folder() / 'log'}. Ctrl-C stops all; the data stays."]
