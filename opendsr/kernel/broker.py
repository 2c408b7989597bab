"""Celery's settings: Redis when REDIS_URL is set, else a folder under var/broker; read by `opendsr.settings`.

A broker here only wakes workers up: due work is a row with a lease (`opendsr.kernel.outbox`), so a lost,
doubled or late message costs at most one sweep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from opendsr.kernel.env import env_list, env_str

QUEUES: Final = ("default", "outbox", "settlement", "metering")
SWEEP_SECONDS: Final = 2.0
TASK_SOFT_SECONDS: Final = 540
TASK_HARD_SECONDS: Final = 600


def celery_settings(var_dir: Path) -> dict[str, Any]:
    """Lower-case Celery settings; makes the broker's folders when it is the filesystem."""
    settings: dict[str, Any] = {
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": TASK_HARD_SECONDS,
        "task_soft_time_limit": TASK_SOFT_SECONDS,
        "task_default_queue": "default",
        "task_create_missing_queues": False,
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
        "enable_utc": True,
        "timezone": "UTC",
        "imports": env_list("OPENDSR_EXTRA_TASKS", ()),
        "beat_schedule_filename": str(var_dir / "beat" / "schedule"),
        "beat_max_loop_interval": SWEEP_SECONDS,
        "beat_schedule": {
            "outbox-sweep": {
                "task": "opendsr.kernel.tasks.sweep_outbox",
                "schedule": SWEEP_SECONDS,
                "options": {"queue": "outbox", "expires": 30},
            },
        },
    }
    redis_url = env_str("REDIS_URL", "")
    if redis_url:
        settings["broker_url"] = redis_url
        settings["broker_transport_options"] = {"visibility_timeout": 2 * TASK_HARD_SECONDS}
        return settings
    folder = var_dir / "broker"
    settings["broker_url"] = "filesystem://"
    settings["worker_enable_remote_control"] = False
    settings["broker_transport_options"] = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "processed_folder": str(folder / "processed"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.25,
    }
    return settings
