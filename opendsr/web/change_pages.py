"""Changes of many rows: chosen by the registry's filters or by a list, previewed, applied, taken back."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.validators import ProhibitNullCharactersValidator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from assets import change_fields, changing, finding
from assets.changing import ChangeNotFound, Wanted
from assets.policy import DEVICE_STAFF, MANAGES_DEVICES
from assets.registry_models import ChangeRow, ChangeSet
from members.policy import has_role, require_role
from members.rows import Reject, RowsUnusable, read_rows, reject_lines
from opendsr.kernel import clock
from opendsr.kernel.errors import DomainError
from opendsr.kernel.periods import civil_date
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.home_filters import HomeFilter, in_words, names_on_record
from opendsr.web.paging import paged
from opendsr.web.refusals import PROBLEMS, say_refusal, sentence
from opendsr.web.rows_form import RowsForm, reject_response

SHOWN: Final = 100
State, RowState = ChangeSet.State, ChangeRow.State
FIELDS: Final = {
    "primary_substation": _lazy("Primary substation of homes"),
    "cmz": _lazy("Constraint zone (CMZ) of homes"),
    "rated_w": _lazy("Rating of assets (W)"),
    "flexible_w": _lazy("Power that assets can drop (W)"),
    "product": _lazy("Make and model of assets"),
    "hub_product": _lazy("Make and model of hubs"),
    "state": _lazy("State of assets: active, faulty or retired"),
}
STATES: Final = {
    State.PREVIEWED: (_lazy("to be applied"), "info"),
    State.APPLYING: (_lazy("being applied"), "info"),
    State.APPLIED: (_lazy("applied"), "good"),
    State.UNDOING: (_lazy("being taken back"), "info"),
    State.UNDONE: (_lazy("taken back"), ""),
    State.DISCARDED: (_lazy("dropped"), ""),
}
ROW_STATES: Final = {
    RowState.PLANNED: (_lazy("to do"), "info"),
    RowState.REFUSED: (_lazy("refused"), "bad"),
    RowState.APPLIED: (_lazy("done"), "good"),
    RowState.UNDONE: (_lazy("taken back"), ""),
    RowState.KEPT: (_lazy("not taken back"), "warn"),
}
WHYS: Final = {
    "not_found": _lazy(
        "Nothing in use goes by this name. Write a serial number, a wire name or a home’s id."
    ),
    "twice": _lazy("It is in the list twice: the first counts."),
    "unchanged": _lazy("It has this value already."),
    "moved_on": _lazy("It was changed in the meantime. Make another preview."),
    "retired": _lazy("It is out of use."),
    "power_out_of_range": _lazy("The power is out of range for this asset."),
}


class ChangeForm(forms.Form):
    """What is changed to what, and why."""

    field = forms.ChoiceField(label=_lazy("What to change"), choices=list(FIELDS.items()))
    value = forms.CharField(
        label=_lazy("New value"),
        required=False,
        max_length=80,
        help_text=_lazy("Empty takes a substation, a zone or a model away."),
        validators=[ProhibitNullCharactersValidator()],
    )
    why = forms.CharField(
        label=_lazy("Why"),
        max_length=200,
        validators=[ProhibitNullCharactersValidator()],
    )


class ListForm(RowsForm):
    """Rows named one by one."""

    most_megabytes: ClassVar[int] = 2
    rows_help: ClassVar[Any] = _lazy(
        "A header “name” and a row for each: a serial number, a wire name (esa-…) or a home’s id. A column"
        " “value” gives a row a value of its own."
    )


@require_GET
@signed_in
def change_list(request: HttpRequest) -> HttpResponse:
    """Every change of many rows, newest first."""
    require_role(request.user, *DEVICE_STAFF)
    shown, pager = paged(request, ChangeSet.objects.order_by("-made_at", "pk"), size=50)
    context = {
        "rows": [
            {
                "change": each,
                "field": FIELDS.get(each.field, each.field),
                "state": STATES[State(each.state)],
                "made": wording.moment(each.made_at),
            }
            for each in shown
        ],
        "pager": pager,
        "may_manage": has_role(request.user, *MANAGES_DEVICES),
    }
    return render(request, "assets/change_list.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def change_new(request: HttpRequest) -> HttpResponse:
    """Choose rows and a value; nothing changes before the preview is looked at and applied."""
    require_role(request.user, *MANAGES_DEVICES)
    filters = HomeFilter(request.GET or None)
    is_posted = request.method == "POST"
    form = ChangeForm(request.POST if is_posted else None)
    by_list = request.POST.get("by") == "list" if is_posted else request.GET.get("by") == "list"
    rows = ListForm(request.POST, request.FILES) if is_posted and by_list else ListForm()
    at = clock.now()
    homes = finding.homes(filters.criteria(), at=at, wall=clock.wall_now(), day=civil_date(at))
    if is_posted and form.is_valid() and (not by_list or rows.is_valid()):
        try:
            change = _preview(request, form, filters, homes, rows if by_list else None)
        except RowsUnusable as error:
            rows.add_error("rows", sentence(error))
        except DomainError as error:
            say_refusal(form, error)
        else:
            return redirect("change_page", change.pk)
    has_errors = bool(form.errors or rows.errors)
    context = {
        "form": form,
        "filters": filters,
        "rows_form": rows,
        "by_list": by_list,
        "chosen": in_words(filters),
        "homes": homes.count(),
        "substations": names_on_record("primary_substation"),
        "zones": names_on_record("cmz"),
    }
    return render(request, "assets/change_new.html", context, status=422 if has_errors else 200)


@require_GET
@signed_in
def change_page(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """One change, row by row: from what to what, which are refused and why, and how far it is."""
    require_role(request.user, *DEVICE_STAFF)
    change = _change(change_id)
    rows = ChangeRow.objects.filter(change_set=change)
    state = request.GET.get("state", "")
    if state in RowState.values:
        rows = rows.filter(state=state)
    shown, pager = paged(request, rows.order_by("number"), size=SHOWN)
    done = changing.progress(change)
    counts = {each: getattr(done, each.value) for each in RowState}
    context = {
        "change": change,
        "field": FIELDS.get(change.field, change.field),
        "state": STATES[State(change.state)],
        "made": wording.moment(change.made_at),
        "counts": [
            {"code": each.value, "words": ROW_STATES[each][0], "count": count, "is_on": state == each.value}
            for each, count in counts.items()
            if count
        ],
        "done": done,
        "is_under_way": change.state in (State.APPLYING, State.UNDOING),
        "rows": [
            {"row": each, "state": ROW_STATES[RowState(each.state)], "why": _why(each.why)} for each in shown
        ],
        "pager": pager,
        "may_apply": change.state == State.PREVIEWED and done.planned > 0,
        "may_discard": change.state == State.PREVIEWED,
        "may_undo": change.state == State.APPLIED and done.applied > 0,
        "may_manage": has_role(request.user, *MANAGES_DEVICES),
    }
    return render(request, "assets/change_page.html", context)


@require_POST
@signed_in
def change_action(request: HttpRequest, change_id: UUID, verb: str) -> HttpResponse:
    """Apply a preview, drop it, or take an applied change back."""
    require_role(request.user, *MANAGES_DEVICES)
    said = {
        "apply": (changing.apply_change, _("It is being applied. Reload the page to see how far it is.")),
        "undo": (changing.undo_change, _("It is being taken back. Reload the page to see how far it is.")),
        "discard": (changing.discard_change, _("Dropped: nothing was changed.")),
    }.get(verb)
    if said is None:
        raise Http404
    service, words = said
    try:
        service(change_id=change_id, at=clock.now(), by=f"staff:{request.user.pk}")
    except DomainError as error:
        if error.status == 404:
            raise
        messages.error(request, sentence(error))
    else:
        messages.success(request, words)
    return redirect("change_page", change_id)


@require_GET
@signed_in
def change_refused(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """The refused rows as a file: name, value, why and what to do."""
    require_role(request.user, *DEVICE_STAFF)
    change = _change(change_id)
    rows = ChangeRow.objects.filter(change_set=change, state=RowState.REFUSED).order_by("number")
    rejects = (
        Reject(
            line=each.number + 1,
            field="value",
            value=each.after,
            code=each.why,
            fix=_why(each.why),
            row=(each.name, each.after),
        )
        for each in rows.iterator(chunk_size=1_000)
    )
    return reject_response(reject_lines(("name", "value"), rejects), name=f"refused-{change.pk}.csv")


def _preview(
    request: HttpRequest,
    form: ChangeForm,
    filters: HomeFilter,
    homes: QuerySet[Any],
    rows: ListForm | None,
) -> ChangeSet:
    data = form.cleaned_data
    common = {"field": data["field"], "value": data["value"], "why": data["why"]}
    stamp: dict[str, Any] = {"at": clock.now(), "by": f"staff:{request.user.pk}"}
    if rows is not None:
        given = read_rows(
            rows.cleaned_data["rows"],
            required=("name",),
            optional=("value",),
            most_rows=changing.MOST_ROWS,
        )
        wanted = [Wanted(name, value or None) for _line, (name, value) in given]
        return changing.preview(**common, **stamp, chosen=_("a list"), wanted=wanted)
    criteria = filters.criteria()
    kind = change_fields.FIELDS[data["field"]]
    targets = change_fields.within(kind, homes, asset_kind=criteria.kind, product=criteria.product)
    chosen = in_words(filters, is_open=False) or _("every home")
    return changing.preview(**common, **stamp, chosen=chosen, targets=targets)


def _change(change_id: UUID) -> ChangeSet:
    change = ChangeSet.objects.filter(pk=change_id).first()
    if change is None:
        raise ChangeNotFound(change_id=str(change_id))
    return change


def _why(code: str) -> str:
    """Why a row was refused, in words."""
    if not code:
        return ""
    words = WHYS.get(code) or PROBLEMS.get(code)
    return str(words) if words else code.replace("_", " ").capitalize() + "."
