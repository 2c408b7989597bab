from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection, migrations, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState, StateApps
from django.db.migrations.writer import OperationWriter

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


def two_tables():
    name = ("id", models.BigAutoField(primary_key=True))
    return schemas.CreateModels(
        [
            migrations.CreateModel("TestOwner", [name]),
            migrations.CreateModel(
                "TestThing", [name, ("owner", models.ForeignKey("kernel.testowner", models.PROTECT))]
            ),
        ]
    )


@pytest.mark.django_db
def test_models_made_at_once_are_built_once(monkeypatch):
    built = []
    build = StateApps.__init__
    monkeypatch.setattr(StateApps, "__init__", lambda *given: built.append(1) or build(*given))
    operation, before, after = two_tables(), ProjectState(), ProjectState()
    assert after.apps is not None
    after.is_delayed = True

    operation.state_forwards("kernel", after)
    assert not after.is_delayed
    assert len(built) == 1

    def tables():
        with connection.cursor() as cursor:
            return {name for name in connection.introspection.table_names(cursor) if "kernel_test" in name}

    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("kernel", editor, before, after)
        assert tables() == {"kernel_testowner", "kernel_testthing"}
        operation.database_backwards("kernel", editor, after, before)
    assert tables() == set()
    assert len(built) == 2


def test_models_made_at_once_can_be_written_down():
    written, imports = OperationWriter(two_tables()).serialize()

    assert "import opendsr.kernel.schemas" in imports
    assert written.lstrip().startswith("opendsr.kernel.schemas.CreateModels(")
    assert written.count("migrations.CreateModel(") == 2


@pytest.mark.django_db
def test_a_database_of_before_the_migrations_were_folded_has_nothing_to_run():
    folded = MigrationExecutor(connection).loader.replacements
    assert folded
    rows = MigrationRecorder.Migration.objects.all()
    for app, name in folded:
        assert rows.filter(app=app, name=name).delete()[0] == 1

    executor = MigrationExecutor(connection)

    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
