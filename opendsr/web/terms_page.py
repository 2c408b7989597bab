"""The co-op's terms as a member reads them: those in force, those accepted, and accepting new ones."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

import members.queries
from members import terms
from members.enquiry_models import TermsAcceptance, TermsText
from members.models import Channel
from opendsr.kernel import clock
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.refusals import sentence


@require_http_methods(["GET", "POST"])
@signed_in
def my_terms(request: HttpRequest) -> HttpResponse:
    """The terms in force; pressing the button accepts exactly the words that were on the page."""
    at = clock.now()
    member = members.queries.member_of(request.user)
    if member is None or not member.is_current(at):
        raise Http404
    status = 200
    if request.method == "POST":
        sha256 = request.POST.get("terms", "")
        try:
            terms.accept_terms(member=member, sha256=sha256, channel=Channel.WEB, at=at)
        except (terms.TermsChanged, terms.TermsNotPublished) as error:
            messages.error(request, sentence(error))
            status = error.status
        else:
            messages.success(request, _("Thank you: the terms are accepted."))
            return redirect("my_terms")
    accepted = TermsAcceptance.objects.filter(member=member).select_related("text").order_by("-accepted_at")
    context = {
        "text": terms.newest_terms(TermsText.Kind.TERMS, at),
        "assurance": terms.newest_terms(TermsText.Kind.ASSURANCE, at),
        "is_to_accept": terms.terms_to_read(member, at) is not None,
        "accepted": [(each.text, wording.day(each.accepted_at, "j F Y")) for each in accepted],
    }
    return render(request, "members/my_terms.html", context, status=status)
