"""django-hordak's ledger as a peer, by its own models; run by `settlement_rounds.py` in `.venv-bench`.

DATABASE_URL names an empty database. Prints JSON, legs a second: `one_entry`, a single transaction with a leg
for each member, and `entry_each`, a transfer of two legs for each. Both pass hordak's own balance triggers,
which run when the database commits.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

MEMBERS, TURNS = int(sys.argv[1]), int(sys.argv[2])


def main() -> None:
    """Set hordak up in the database and post."""
    given = conninfo_to_dict(os.environ["DATABASE_URL"])
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "djmoney", "hordak"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": given["dbname"],
                "USER": given.get("user", ""),
                "PASSWORD": given.get("password", ""),
                "HOST": given.get("host", ""),
                "PORT": given.get("port", ""),
            }
        },
        DEFAULT_CURRENCY="GBP",
        CURRENCIES=["GBP"],
        HORDAK_INTERNAL_CURRENCY="GBP",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from django.db import transaction
    from hordak.models import Account, AccountType, Leg, Transaction
    from moneyed import Money

    coop = Account.objects.create(name="Co-op", type=AccountType.asset, currencies=["GBP"], code="0")
    members = [
        Account.objects.create(name=f"M{n}", type=AccountType.liability, currencies=["GBP"], code=str(n + 1))
        for n in range(MEMBERS)
    ]
    pence = [100 + place % 900 for place in range(MEMBERS)]

    def one_entry() -> None:
        with transaction.atomic():
            made = Transaction.objects.create()
            legs = [Leg(transaction=made, account=coop, debit=Money(sum(pence), "GBP") / 100)]
            legs += [
                Leg(transaction=made, account=member, credit=Money(amount, "GBP") / 100)
                for member, amount in zip(members, pence, strict=True)
            ]
            Leg.objects.bulk_create(legs)

    def entry_each() -> None:
        with transaction.atomic():
            for member, amount in zip(members, pence, strict=True):
                member.transfer_to(coop, Money(amount, "GBP") / 100)

    rates = {"one_entry": rate(one_entry, MEMBERS + 1), "entry_each": rate(entry_each, 2 * MEMBERS)}
    expected = TURNS * (MEMBERS + 1 + 2 * MEMBERS)
    if Leg.objects.count() != expected:
        raise SystemExit(f"hordak holds {Leg.objects.count()} legs, not {expected}")
    sys.stdout.write(json.dumps(rates))


def rate(work: Callable[[], None], legs: int) -> float:
    """Legs a second, the median of the turns."""
    taken = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return legs / statistics.median(taken)


if __name__ == "__main__":
    main()
