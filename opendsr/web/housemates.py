"""People of one household: letters to who is invited into it, and to who is taken out of it."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from members import inviting, leaving
from members.models import Member
from opendsr.kernel import installation
from opendsr.web import letters


def invite(request: HttpRequest, *, member: Member, email: str, at: datetime) -> bool:
    """Invite an address by a link that works once; False when the mail server would not take the letter.

    Raises InvalidField, and TooManyAsked past the hour's share.
    """
    letters.count_asking(request, email)
    invitation = inviting.invite_housemate(member=member, email=email, at=at)
    url = request.build_absolute_uri(reverse("join_by", args=[inviting.token_of(invitation)]))
    context = {"url": url, "coop": installation.current(), "who": member.full_name}
    subject = _("An invitation from %(who)s") % {"who": member.full_name}
    return letters.send(email, subject, "join/letters/housemate.txt", context)


def remove(*, holder: Member, number: str, at: datetime, by: str) -> None:
    """Take somebody out of the household and write to them. Raises NotOfTheHousehold, NotAMember."""
    gone = leaving.remove_housemate(holder=holder, number=number, at=at, by=by).member
    if gone.user is not None:
        context = {"coop": installation.current(), "who": holder.full_name}
        letters.send(gone.user.email, _("You left a household"), "join/letters/removed.txt", context)
