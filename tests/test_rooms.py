"""The rooms' order in the database: foreign keys point down, every table lies in its room's schema.

import-linter sees imports; a foreign key named by a string escapes it, so the model registry is read here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Field, Model

FLOORS = {
    "kernel": 0,
    "members": 1,
    "vtn": 1,
    "notices": 2,
    "assets": 3,
    "metering": 4,
    "campaigns": 5,
    "settlement": 6,
    "demo": 7,
    "web": 7,
}
SCHEMAS = {
    "kernel": "operations",
    "vtn": "operations",
    "members": "identity",
    "notices": "identity",
    "assets": "operations",
    "metering": "energy",
    "campaigns": "operations",
    "settlement": "money",
}
# Operational tables of a room whose other tables hold members' energy.
ELSEWHERE = {
    "metering_sender": "operations",
    "metering_ruleset": "operations",
    "metering_rulecount": "operations",
    "metering_assetdevice": "operations",
    "metering_assetstate": "operations",
    "metering_reportlink": "operations",
    "metering_feedcursor": "operations",
    "metering_emoncmskey": "operations",
    "metering_backfill": "operations",
    "metering_rate": "operations",
}


def our_models() -> Iterator[type[Model]]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label in FLOORS:
            yield model


def relations() -> Iterator[tuple[type[Model], str, type[Model]]]:
    """Yield (model, name of its field, model pointed to), both models ours."""
    for model in our_models():
        for field in model._meta.get_fields(include_hidden=True):
            target = field.related_model if isinstance(field, Field) and field.is_relation else None
            if isinstance(target, type) and target._meta.app_label in FLOORS:
                yield model, field.name, target


def may_point(source: str, target: str) -> bool:
    return source == target or FLOORS[target] < FLOORS[source]


def test_every_room_is_on_a_floor() -> None:
    rooms = {config.label for config in apps.get_app_configs() if "site-packages" not in config.path}

    assert rooms <= set(FLOORS)
    assert relations_exist()


def relations_exist() -> bool:
    return next(relations(), None) is not None


def test_foreign_keys_point_down() -> None:
    upwards = [
        f"{model._meta.label}.{name} -> {target._meta.label}"
        for model, name, target in relations()
        if not may_point(model._meta.app_label, target._meta.app_label)
    ]

    assert upwards == []


def test_the_rule_itself() -> None:
    assert may_point("settlement", "members")
    assert may_point("assets", "vtn")
    assert may_point("members", "members")
    assert not may_point("members", "assets")
    assert not may_point("members", "vtn")
    assert not may_point("vtn", "members")


@pytest.mark.django_db
def test_every_table_lies_in_its_rooms_schema() -> None:
    expected = {
        model._meta.db_table: ELSEWHERE.get(model._meta.db_table, SCHEMAS[model._meta.app_label])
        for model in our_models()
        if model._meta.managed and not model._meta.proxy
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND c.relname = ANY(%s)",
            [list(expected)],
        )
        found = dict(cursor.fetchall())

    assert found == expected
