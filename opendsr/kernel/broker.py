"""Celery's settings: Redis when REDIS_URL is set, else a folder under var/broker; read by `opendsr.settings`.

A broker here only wakes workers up: due work is a row with a lease (`opendsr.kernel.outbox`), so a lost,
doubled or late message costs at most one sweep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from kombu.entity import Queue

from opendsr.kernel.env import env_list, env_str

DEFAULT_QUEUE: Final = "default"
SWEPT_QUEUES: Final = ("outbox", "settlement", "metering")
QUEUES: Final = (DEFAULT_QUEUE, *SWEPT_QUEUES)
SWEEP_SECONDS: Final = 2.0
ADOPT_SECONDS: Final = 30.0
STALE_SECONDS: Final = 30
TASK_SOFT_SECONDS: Final = 540
TASK_HARD_SECONDS: Final = 600
CONNECT_SECONDS: Final = 2


def celery_settings(var_dir: Path) -> dict[str, Any]:
    """Celery settings by lower-case name; `opendsr.settings` prefixes them with CELERY_.

    The time limits bind in a prefork pool only; in a threads pool the lease is the limit.
    """
    redis_url = env_str("REDIS_URL", "")
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_soft_time_limit": TASK_SOFT_SECONDS,
        "task_time_limit": TASK_HARD_SECONDS,
        "task_publish_retry": False,
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call]
        "task_default_queue": DEFAULT_QUEUE,
        "task_create_missing_queues": False,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_enable_remote_control": bool(redis_url),
        "broker_connection_retry_on_startup": True,
        "broker_connection_timeout": CONNECT_SECONDS,
        "enable_utc": True,
        "timezone": "UTC",
        "imports": env_list("OPENDSR_EXTRA_TASKS", []),
        "beat_max_loop_interval": SWEEP_SECONDS,
        # Kept in memory: no file for a killed beat to spoil; what must not be missed is a row with a due_at.
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_schedule": _beat_schedule(),
        **(_redis(redis_url) if redis_url else _folder(var_dir / "broker")),
    }


def _beat_schedule() -> dict[str, dict[str, Any]]:
    sweeps: dict[str, dict[str, Any]] = {
        f"sweep-{queue}": {
            "task": "opendsr.kernel.tasks.sweep_outbox",
            "schedule": SWEEP_SECONDS,
            "kwargs": {"queue": queue, "by": "beat"},
            "options": {"queue": queue, "expires": STALE_SECONDS},
        }
        for queue in SWEPT_QUEUES
    }
    adopt = {
        "task": "opendsr.kernel.tasks.adopt_facts",
        "schedule": ADOPT_SECONDS,
        "options": {"queue": DEFAULT_QUEUE, "expires": STALE_SECONDS},
    }
    return sweeps | {"adopt-facts": adopt}


def _redis(url: str) -> dict[str, Any]:
    return {
        "broker_url": url,
        "broker_transport_options": {
            "visibility_timeout": 2 * TASK_HARD_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
        },
    }


def _folder(folder: Path) -> dict[str, Any]:
    messages = str(folder / "messages")
    return {
        "broker_url": "folder://localhost",
        "broker_transport_options": {
            "data_folder_in": messages,
            "data_folder_out": messages,
            "processed_folder": str(folder / "taken"),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.25,
        },
    }
