"""What supervisors and load balancers ask."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from pytest_django import Settings

from opendsr.kernel import heartbeat
from opendsr.web import health


def test_the_process_lives_without_a_database(client: Client) -> None:
    assert client.get("/livez").json() == {"status": "ok"}


def test_a_site_without_a_worker_serves_and_says_so(db: None, client: Client) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "checks": {"background_work": False, "outbox_on_time": True, "outbox_dead": 0},
    }


def test_a_beating_worker_is_seen(db: None, client: Client) -> None:
    heartbeat.beat(health.BEAT)

    assert client.get("/readyz").json()["checks"]["background_work"] is True


def test_no_database_is_503(db: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr("opendsr.kernel.outbox.backlog", gone)

    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (503, {"status": "no database"})


def test_missing_migrations_are_503_with_the_fix(
    db: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [("campaigns.0002", False)])

    response = client.get("/readyz")

    assert response.status_code == 503
    assert "manage.py migrate" in response.json()["status"]


def test_health_is_asked_inside_the_house_without_tls(db: None, client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
    assert client.get("/").status_code == 301
