from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from opendsr.kernel import installation
from opendsr.kernel.models import Installation
from tests.kernel.conftest import NOON

pytestmark = pytest.mark.django_db


def test_an_empty_database_belongs_to_nobody():
    for read in (installation.current, installation.require_demo):
        with pytest.raises(installation.NotFounded):
            read()


def test_a_co_op_is_founded_once():
    founded = installation.found(coop_name="Brixton Energy", is_demo=True, at=NOON)

    assert installation.current() == founded == installation.require_demo()
    assert installation.found(coop_name="Brixton Energy", is_demo=True, at=NOON) == founded
    for name, is_demo, at in (
        ("Other", True, NOON),
        ("Brixton Energy", False, NOON),
        ("Brixton Energy", True, NOON + timedelta(days=1)),
    ):
        with pytest.raises(installation.AlreadyFounded):
            installation.found(coop_name=name, is_demo=is_demo, at=at)


def test_a_real_co_op_is_no_demo():
    installation.found(coop_name="Brixton Energy", is_demo=False, at=NOON)

    with pytest.raises(installation.NotADemo) as caught:
        installation.require_demo()
    assert caught.value.coop_name == "Brixton Energy"


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (Installation(pk=2, coop_name="Second", founded_at=NOON), "installation_single_row"),
        (Installation(pk=1, coop_name="", founded_at=NOON), "installation_has_a_name"),
    ],
)
def test_the_database_holds_the_rules(row, rule):
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        row.save(force_insert=True)
