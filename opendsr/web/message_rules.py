"""Staff page of the rules over arriving messages: see, edit, try, publish; and dead letters."""

from __future__ import annotations

import json
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_http_methods

from members.models import Role
from members.policy import require_role
from metering import retrying, ruling
from metering.intake_models import Message, RuleCount
from metering.rules import RuleInvalid
from opendsr.kernel import clock
from opendsr.web import wording
from opendsr.web.entering import signed_in
from opendsr.web.paging import paged

MAY_RULE: Final = (Role.ADMINISTRATOR, Role.DEVICE_MANAGER)
TRIALS_SHOWN: Final = 25
LETTERS_SHOWN: Final = 25
EXAMPLE: Final = [
    {
        "id": "spikes",
        "match": {"source": "glow", "field": "electricitymeter.power.value", "op": ">", "value": 23},
        "then": "drop",
    }
]
OUTCOMES: Final = {
    "dead": (_lazy("Not used"), "bad"),
    "alarm": (_lazy("Alarm"), "warn"),
    "kept": (_lazy("Kept"), "info"),
}


class RulesForm(forms.Form):
    """The rules as JSON, and why they change; `based_on` is the version that was opened."""

    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    rules = forms.CharField(
        label=_lazy("Rules"),
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false"}),
        help_text=_lazy(
            "A JSON list, applied in order. Each rule has an id, a match (source, type, field, op, value) "
            "and then: drop, reshape (set, scale, offset or rename), store, alarm or keep. Sources are glow "
            "(CADs), device (states of devices), emoncms (type: the node) and openadr (type: report/rID)."
        ),
    )
    note = forms.CharField(label=_lazy("What changes and why"), required=False, max_length=200)

    def clean_rules(self) -> object:
        """The list; raises for what is no JSON."""
        try:
            return json.loads(self.cleaned_data["rules"])
        except ValueError as error:
            raise forms.ValidationError(
                _("This is no JSON: %(error)s."), params={"error": str(error)}
            ) from None
        except RecursionError:
            raise forms.ValidationError(_("This is nested too deeply.")) from None


@require_http_methods(["GET", "POST"])
@signed_in
def message_rules(request: HttpRequest) -> HttpResponse:
    """The rules in force, their counters, a trial, and what could not be used."""
    require_role(request.user, *MAY_RULE)
    if request.method == "POST" and request.POST.get("do") == "retry":
        return _retried(request)
    current = ruling.current()
    version = 0 if current is None else current.version
    shown = json.dumps(EXAMPLE if current is None else current.rules, indent=2, ensure_ascii=False)
    form = RulesForm(request.POST or None, initial={"based_on": version, "rules": shown})
    trials: list[dict[str, Any]] = []
    tried = None
    if request.method == "POST" and form.is_valid():
        try:
            if request.POST.get("do") == "publish":
                made = ruling.publish(
                    wanted=form.cleaned_data["rules"],
                    note=form.cleaned_data["note"],
                    based_on=form.cleaned_data["based_on"],
                    at=clock.now(),
                    by=request.user,  # type: ignore[arg-type]
                )
                messages.success(request, _("Version %(version)s is in force.") % {"version": made.version})
                return redirect("message_rules")
            found, hits = ruling.dry_run(form.cleaned_data["rules"])
            touched = [trial for trial in found if trial.hits]
            trials = [_trial(trial) for trial in touched[:TRIALS_SHOWN]]
            tried = {
                "messages": f"{len(found):,}",
                "touched": f"{len(touched):,}",
                "hits": sorted(hits.items()),
            }
        except RuleInvalid as error:
            words = _("Rule %(rule)s, %(field)s: “%(value)s” will not do; expected is %(expected)s.")
            form.add_error("rules", words % {**error.data, "value": str(error.data["value"])[:80]})
        except ruling.RulesChanged as error:
            words = _("Somebody published version %(newest)s meanwhile. Open the page again and merge.")
            form.add_error(None, words % {"newest": error.newest})
    letters, pager = paged(
        request, Message.objects.order_by("-received_at", "-pk"), size=LETTERS_SHOWN, anchor="letters"
    )
    counts = dict(RuleCount.objects.filter(ruleset_id=version).values_list("rule", "hits"))
    rows = [_letter(letter) for letter in letters]
    context = {
        "form": form,
        "version": version,
        "note": "" if current is None else current.note,
        "since": "" if current is None else wording.moment(current.created_at),
        "counts": [
            (str(rule.get("id")), f"{counts.get(str(rule.get('id')), 0):,}")
            for rule in (current.rules if current else [])
        ],
        "trials": trials,
        "tried": tried,
        "letters": rows,
        "retriable": sum(bool(row["may_be_retried"]) for row in rows),
        "pager": pager,
    }
    return render(request, "metering/message_rules.html", context, status=422 if form.errors else 200)


def _retried(request: HttpRequest) -> HttpResponse:
    """Try the letters that were ticked, or the one whose button it was."""
    ids = [int(text) for text in request.POST.getlist("letter") if text.isdecimal() and len(text) < 19]
    done = retrying.retry(message_ids=ids, at=clock.now(), actor=f"staff:{request.user.pk}")
    words = _("Tried again: %(used)s used, %(dead)s still not, %(bare)s without a message to try.")
    told = {"used": f"{done.used:,}", "dead": f"{done.dead:,}", "bare": f"{done.bare:,}"}
    (messages.success if done.used else messages.warning)(request, words % told)
    return redirect("message_rules")


def _trial(trial: ruling.Trial) -> dict[str, Any]:
    outcome = _("dropped") if trial.body is None else _("changed") if trial.changed else _("stored as it is")
    return {
        "topic": trial.message.topic,
        "rules": ", ".join(trial.hits),
        "outcome": outcome,
        "alarms": ", ".join(trial.alarms) or wording.NOTHING,
    }


def _letter(letter: Message) -> dict[str, Any]:
    words, tag = OUTCOMES[letter.outcome]
    return {
        "id": letter.pk,
        "may_be_retried": retrying.may_be_retried(letter),
        "retried": wording.moment(letter.retried_at) if letter.retried_at else "",
        "words": words,
        "tag": tag,
        "source": letter.source,
        "sender": letter.sender or wording.NOTHING,
        "code": letter.code.replace("_", " "),
        "detail": letter.detail,
        "times": f"{letter.times:,}",
        "when": wording.moment(letter.received_at),
    }
