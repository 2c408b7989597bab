"""The migration that seals what lay plain, on rows that are there: back, and forth again."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from assets import jobs
from assets.job_models import JobPhoto, PairingAttempt
from members import opting_out
from members.models import Home, Member, StandingOptOut, User
from metering import import_jobs
from metering.intake_models import Message
from metering.letters import Letter, write_letters
from opendsr.kernel import blind_index, encryption
from tests.factories import JOINED_AT, make_asset_kinds, make_resident

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.process]


def to(app: str, name: str) -> None:
    MigrationExecutor(connection).migrate([(app, name)])


def to_the_newest() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def raw(sql: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def test_rows_are_sealed_where_they_are():
    alice = make_resident("Alice Ash", email="alice@example.org")
    account, key = alice.user.pk, alice.user.key_id
    opting_out.start_standing_opt_out(
        occupancy=alice.occupancy, at=JOINED_AT, starts_at=JOINED_AT, reason="visitors"
    )
    mpan = alice.home.mpan
    try:
        to("members", "0007_needs")
        assert raw("SELECT full_name FROM members_member") == "Alice Ash"
        assert raw("SELECT mpan FROM members_home") == mpan
        assert raw("SELECT reason FROM members_standingoptout") == "visitors"
        assert raw("SELECT email FROM members_user") == "alice@example.org"
    finally:
        to_the_newest()

    assert b"alice" not in bytes(raw("SELECT email FROM members_user"))
    again = User.objects.get(email="Alice@example.org")
    assert (again.pk, again.email) == (account, "alice@example.org")
    assert again.key_id != key
    assert b"Alice" not in bytes(raw("SELECT full_name FROM members_member"))
    assert Member.objects.get(words__contains=blind_index.words("ash")).full_name == "Alice Ash"
    assert Home.objects.get(mpan_index=mpan).mpan == mpan
    assert StandingOptOut.objects.get().reason == "visitors"
    assert Member.objects.get().household.name == "Alice Ash"


def test_files_and_messages_are_sealed_where_they_are():
    job = import_jobs.upload(job_id=uuid4(), name="r.csv", chunks=[b"MPAN,1600"], at=JOINED_AT, by=None)
    job.meters, job.rejects = {"1600000000013": str(uuid4())}, [{"value": "1600000000013"}]
    job.save()
    letters = {("dead", "glow", "AB", "t", "bad", ""): Letter("as it came", "", JOINED_AT)}
    with transaction.atomic():
        write_letters(letters)
    try:
        to("metering", "0011_missing_days")
        assert raw("SELECT body FROM metering_message") == "as it came"
        assert raw("SELECT meters FROM metering_importjob") == json.dumps(job.meters)
        assert bytes(raw("SELECT data FROM metering_importpart")) == b"MPAN,1600"
    finally:
        to_the_newest()

    assert Message.objects.get().body == "as it came"
    assert b"as it came" not in bytes(raw("SELECT body FROM metering_message"))
    again = import_jobs.get(job.pk)
    assert (again.meters, again.rejects) == (job.meters, job.rejects)
    assert import_jobs.FileOfParts(job.pk, 9).read() == b"MPAN,1600"
    assert import_jobs.forget(at=JOINED_AT + timedelta(days=31)) == 1
    forgotten = import_jobs.get(job.pk)
    assert (forgotten.meters, forgotten.rejects) == ({}, [])


def test_notes_and_photos_of_visits_are_sealed_where_they_are():
    make_asset_kinds()
    home = make_resident("Alice Ash").home
    survey = {"kinds": ["ev_charger"], "heaters": [], "cable_m": 5, "signal_dbm": -60, "notes": "Dog bites."}
    job = jobs.plan_job(home=home, at=JOINED_AT, by="test")
    jobs.record_survey(job_id=job.pk, given=survey, at=JOINED_AT, by="test")
    PairingAttempt.objects.create(
        job=job, at=JOINED_AT, supplier="Any", meter_model="SGM", cad_serial="1", outcome="refused",
        note="Meter under the stairs.", by="test",
    )  # fmt: skip
    photo = JobPhoto.objects.create(
        job=job, caption="The cupboard", jpeg=b"a picture", width=8, height=8, at=JOINED_AT, by="test"
    )
    try:
        to("assets", "0003_visits")
        notes = raw("SELECT max(survey->>'notes') FROM assets_installjob")
        assert notes == "Dog bites."
        assert raw("SELECT note FROM assets_pairingattempt") == "Meter under the stairs."
        assert bytes(raw("SELECT jpeg FROM assets_jobphoto")) == b"a picture"
    finally:
        to_the_newest()

    job.refresh_from_db()
    assert (job.survey_notes, "notes" in job.survey) == ("Dog bites.", False)
    assert PairingAttempt.objects.get().note == "Meter under the stairs."
    again = JobPhoto.objects.get()
    assert (again.pk, again.caption, again.jpeg) == (photo.pk, "The cupboard", b"a picture")
    assert b"a picture" not in bytes(again.jpeg_sealed)
    with pytest.raises(encryption.SealBroken):
        JobPhoto(job=job, jpeg_sealed=again.jpeg_sealed).jpeg  # noqa: B018 - opening it is what is refused
