from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.state import ProjectState

from opendsr.kernel import ids, schemas


@pytest.mark.django_db
def test_kernel_tables_lie_in_operations():
    tables = {model._meta.db_table for model in apps.get_app_config("kernel").get_models()}
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'operations'")
        placed = {name for (name,) in cursor.fetchall()}

    assert tables <= placed


@pytest.mark.django_db
def test_a_table_moves_and_comes_back():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE test_thing (id bigserial PRIMARY KEY)")
    operation = schemas.place("energy", "test_thing")

    def schema_of(name):
        with connection.cursor() as cursor:
            cursor.execute("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = %s", [name])
            return cursor.fetchone()[0]

    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("kernel", editor, ProjectState(), ProjectState())
        assert schema_of("test_thing") == schema_of("test_thing_id_seq") == "energy"
        operation.database_backwards("kernel", editor, ProjectState(), ProjectState())
    assert schema_of("test_thing") == "public"


def test_unknown_schemas_and_empty_lists_are_refused():
    with pytest.raises(ValueError, match="no schema 'secrets'"):
        schemas.place("secrets", "test_thing")
    with pytest.raises(ValueError, match="at least one table"):
        schemas.place("energy")


def test_tokens_are_long_safe_and_never_the_same():
    tokens = {ids.random_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(len(token) == 32 and token.isalnum() for token in tokens)
    assert len(ids.random_token(bits=250)) == 64
    with pytest.raises(ValueError, match="can be guessed"):
        ids.random_token(bits=32)


def test_uuids_are_random():
    assert ids.new_uuid().version == 4
    assert ids.new_uuid() != ids.new_uuid()
