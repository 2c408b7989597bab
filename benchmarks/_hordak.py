"""django-hordak's ledger as a peer: as many members paid in one transaction each, by its own models.

Run by `settlement_rounds.py` with the Python of `.venv-bench`; DATABASE_URL names the database. Prints
JSON: legs a second of bulk inserts, which pass hordak's own balance triggers at commit.
"""

from __future__ import annotations

import json
import os
import sys
import time
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

MEMBERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
LEGS_A_MEMBER = 2


def main() -> None:
    """Set hordak up in the database and post."""
    url = urlsplit(os.environ["DATABASE_URL"])
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "djmoney", "hordak"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": url.path.lstrip("/"),
                "USER": unquote(url.username or ""),
                "PASSWORD": unquote(url.password or ""),
                "HOST": unquote(url.hostname or "")
                or dict(part.split("=", 1) for part in url.query.split("&") if "=" in part)
                .get("host", "")
                .replace("%2F", "/"),
                "PORT": url.port or "",
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

    coop = Account.objects.create(name="Co-op", type=AccountType.asset, currencies=["GBP"], code="0")
    people = [
        Account.objects.create(name=f"M{n}", type=AccountType.liability, currencies=["GBP"], code=str(n + 1))
        for n in range(min(MEMBERS, 200))
    ]
    began = time.perf_counter()
    with transaction.atomic():
        made = Transaction.objects.bulk_create(Transaction() for _ in range(MEMBERS))
        legs = []
        for place, one in enumerate(made):
            pence = 100 + place % 900
            legs.append(_leg(Leg, one, coop, debit=pence))
            legs.append(_leg(Leg, one, people[place % len(people)], credit=pence))
        Leg.objects.bulk_create(legs)
    seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps({"legs_per_second": LEGS_A_MEMBER * MEMBERS / seconds}))


def _leg(kind: type, one: object, account: object, **amounts: int) -> object:
    """A leg of whole pence."""
    from moneyed import Money

    money = {name: Money(pence, "GBP") / 100 for name, pence in amounts.items()}
    return kind(transaction=one, account=account, currency="GBP", **money)


if __name__ == "__main__":
    main()
