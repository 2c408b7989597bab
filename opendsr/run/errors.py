"""What may stop a local run, each said as a sentence with what to do about it."""

from __future__ import annotations


class RunError(RuntimeError):
    """A local run cannot go on; the message says why and what to do. Commands print it and exit 1."""


class ClusterError(RunError):
    """The private PostgreSQL cannot be made or started."""


class SupervisorError(RunError):
    """A supervised process cannot be started or did not become ready."""
