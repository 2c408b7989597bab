"""The site for use on one machine: web, worker with beat, and VTN under one supervisor, until Ctrl-C.

Called by `manage.py up`, which has brought the database up to date; knows the programs' command lines only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from opendsr.run import cluster, ports
from opendsr.run.errors import SupervisorError
from opendsr.run.places import say
from opendsr.run.supervisor import Program, Stopped, Supervisor

HOST = "127.0.0.1"
LOOK_SECONDS = 1.0


def port_from_env(variable: str, default: int) -> int:
    """Return the port that `variable` names; raises SupervisorError when it is not one."""
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SupervisorError(f"{variable}={text!r} is not a port: set it to a number from 1024 to 65535.")
    return int(text)


def require_free_ports(*, port: int, vtn_port: int) -> None:
    """Raise SupervisorError when the site or the VTN cannot have its port."""
    if port == vtn_port:
        raise SupervisorError(f"PORT and VTN_PORT are both {port}: set one to another.")
    ports.require_free(port, what="the site", variable="PORT", host=HOST)
    ports.require_free(vtn_port, what="the VTN", variable="VTN_PORT", host=HOST)


def programs(*, var: Path, port: int, vtn_port: int) -> list[Program]:
    """Return the programs of the site, in starting order."""
    python = sys.executable
    env = {"PORT": str(port), "VTN_PORT": str(vtn_port)}
    (var / "beat").mkdir(parents=True, exist_ok=True)
    web = [python, "-m", "gunicorn", "opendsr.wsgi", "--bind", f"{HOST}:{port}", "--worker-class", "gthread"]
    worker = [python, "-m", "celery", "-A", "opendsr.celery", "worker", "-P", "threads", "-c", "2", "-B"]
    bridge = Program(
        name="mqtt",
        command=[python, "manage.py", "vtn_mqtt"],
        env=env,
        ready=lambda written: "ready." in written,
        restarts=True,
    )
    push = replace(bridge, name="push", command=[python, "manage.py", "vtn_push"])
    intake = replace(bridge, name="intake", command=[python, "manage.py", "metering_mqtt"])
    return [
        Program(
            name="vtn",
            command=[python, "manage.py", "vtn", "--port", str(vtn_port)],
            env=env,
            ready=lambda _written: ports.answers(vtn_port, HOST),
            restarts=True,
        ),
        *([bridge] if os.environ.get("MQTT_URL") else []),
        *([push] if os.environ.get("VTN_PUSH") else []),
        *([intake] if os.environ.get("METERING_MQTT_URL") else []),
        Program(
            name="web",
            command=[*web, "--workers", "2", "--threads", "4", "--no-control-socket"],
            env=env,
            ready=lambda _written: ports.answers(port, HOST),
            restarts=True,
        ),
        Program(
            name="worker",
            command=[*worker, "-l", "INFO", "--without-gossip", "--without-mingle"],
            env=env,
            ready=lambda written: " ready." in written,
            restarts=True,
        ),
    ]


def keep_cluster_up(var: Path) -> None:
    """Start the private cluster again when it has died; nothing when it answers. Raises ClusterError."""
    with cluster.running(var):
        pass


def serve(
    *, var: Path, port: int, vtn_port: int, welcome: Sequence[str], is_cluster_ours: bool = False
) -> None:
    """Run the site until Ctrl-C or SIGTERM; raises RunError when a program or the database cannot run.

    What dies is started again: the programs, and the private cluster when the database `is_cluster_ours`.
    """
    try:
        with Supervisor(var / "log") as supervisor:
            supervisor.start(*programs(var=var, port=port, vtn_port=vtn_port))
            for line in welcome:
                say(line)
            while True:
                supervisor.check()
                if is_cluster_ours:
                    keep_cluster_up(var)
                time.sleep(LOOK_SECONDS)
    except (KeyboardInterrupt, Stopped):
        say("\nStopped. The data stays; `make up` starts again.")
