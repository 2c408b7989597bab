"""What services refuse, in sentences for people: the code and data of a DomainError to words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, cast

from django.forms import Form
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from campaigns.models import PlanLine
from opendsr.kernel.errors import DomainError
from opendsr.web import wording

VERBS: Final[Mapping[str, str | Promise]] = {
    "plan": _lazy("planned"),
    "approve": _lazy("approved"),
    "dispatch": _lazy("dispatched"),
    "complete": _lazy("completed"),
    "cancel": _lazy("cancelled"),
}


def sentence(error: DomainError) -> str:
    """The refusal as one or two sentences; a code without words of its own is spelt out."""
    words = SENTENCES.get(error.code)
    if words is not None:
        return words(error)
    return f"{str(error)[:1].upper()}{str(error)[1:]}."


def say_at_fields(form: Form, told: Mapping[str, str], names: Mapping[str, str] | None = None) -> None:
    """Say what a service refuses, by field, at the form's own fields; above the form where it has none such.

    `names` says what the form calls a field of the service.
    """
    for field, words in told.items():
        name = (names or {}).get(field, field)
        form.add_error(name if name in form.fields else None, words)


def say_refusal(form: Form, error: DomainError, names: Mapping[str, str] | None = None) -> None:
    """Say a refusal in its sentence at the field that it names, above the form where it names none of it."""
    say_at_fields(form, {str(error.data.get("field", "")): sentence(error)}, names)


def _wrong_state(error: DomainError) -> str:
    return _("It is %(state)s, so it cannot be %(verb)s any more.") % {
        "state": wording.state(str(error.data["state"])).lower(),
        "verb": VERBS[str(error.data["verb"])],
    }


def _campaign_ended(error: DomainError) -> str:
    ends_at = cast(datetime, error.data["ends_at"])
    return _("It was over at %(time)s on %(day)s.") % {
        "time": wording.clock_time(ends_at),
        "day": wording.day(ends_at),
    }


def _cannot_opt_back_in(error: DomainError) -> str:
    label = PlanLine.LeftOut(str(error.data["reason"])).label
    return _("You cannot opt back in just now. The reason: %(reason)s.") % {
        "reason": _lower_first(str(label))
    }


def _ramp(error: DomainError) -> dict[str, str]:
    return {
        "asked": wording.power(int(str(error.data["asked_w"]))),
        "most": wording.power(int(str(error.data["most_w"]))),
        "beside": wording.beside(cast(list[str], error.data["campaigns"])),
    }


def _participation_closed(error: DomainError) -> str:
    reason = str(error.data["left_out"])
    if not reason:
        return _("The event was called off, so there is nothing to answer.")
    label = str(PlanLine.LeftOut(reason).label)
    return _("Your home is not in this event. The reason: %(reason)s.") % {"reason": _lower_first(label)}


def _readings_incomplete(error: DomainError) -> str:
    half_hours, households = int(str(error.data["half_hours"])), int(str(error.data["households"]))
    some = ngettext("%(n)s half-hourly reading", "%(n)s half-hourly readings", half_hours) % {"n": half_hours}
    where = ngettext("%(n)s home", "%(n)s homes", households) % {"n": households}
    return _("It still lacks %(readings)s of %(homes)s. Wait for them, or settle without them.") % {
        "readings": some,
        "homes": where,
    }


def _only_the_holder(error: DomainError) -> str:
    return _("Only %(holder)s may do this, as the account holder of your household.") % {
        "holder": error.data["holder"]
    }


def _told(words: str | Promise) -> Callable[[DomainError], str]:
    return lambda error: str(words)


PROBLEMS: Final[Mapping[str, str | Promise]] = {
    "empty": _lazy("Write something here."),
    "too_long": _lazy("That is too long: %(longest)s characters at most."),
    "control_character": _lazy("It holds characters that cannot be seen. Write it anew."),
    "not_a_choice": _lazy("Choose one of what is offered."),
    "not_a_postcode": _lazy("Write the postcode as in M15 5RF."),
    "not_13_digits": _lazy("An MPAN has 13 digits: those at the bottom of the box with an S on the bill."),
    "not_a_gsp_group": _lazy("Name the GSP group by its letter, A to P without I and O."),
    "not_an_email_address": _lazy("Write an email address, such as name@example.org."),
    "not_a_postcode_area": _lazy(
        "Write postcode areas or districts, such as OL or M15, with commas between."
    ),
    "less_than_the_least": _lazy("The most has to be at least the fewest."),
    "not_above_zero": _lazy("It has to be above zero."),
    "out_of_range": _lazy("That is out of range."),
    "not_a_colour": _lazy("Write the colour as # and six digits or letters a to f, such as #0b6b4f."),
    "too_large": _lazy("The file is too large."),
    "in_the_future": _lazy("Choose today or a day that has passed."),
    "before_it_began": _lazy("That is before it began. Choose a later day."),
    "not_ahead": _lazy("Choose a time that lies ahead."),
    "heater_refused": _lazy("The survey refused the storage heaters there, so they are not fitted."),
    "thermostat_out_of_range": _lazy("Set it to 60 to 75 °C: the weekly hot cycle needs 60."),
    "kind_of_assets_only": _lazy("A flexible asset has a kind; a hub, a CAD or a meter has none."),
    "other_kind": _lazy("That model is of another kind than the asset."),
    "not_in_catalogue": _lazy("The catalogue has no such make and model. Write both, as it does."),
    "not_whole_watts": _lazy("Write whole watts, such as 3000."),
    "not_after_start": _lazy("That day is over already."),
    "hours_need_both_ends": _lazy("Give the hours both ends, and not the same."),
    "season_needs_both_ends": _lazy("Give the season both days."),
    "not_a_code": _lazy("Write 3 to 24 capitals, digits and hyphens, such as CALDER-JO."),
}


def _invalid_field(error: DomainError) -> str:
    words = PROBLEMS.get(str(error.data.get("problem")))
    if words is None:
        return f"{str(error)[:1].upper()}{str(error)[1:]}."
    return str(words) % error.data


def _campaign_invalid(error: DomainError) -> str:
    return " ".join(str(words) for words in cast(Mapping[str, str], error.data["errors"]).values())


def _not_amendable(error: DomainError) -> str:
    return _("It is %(state)s, so what it asks stays as homes were told it.") % {
        "state": wording.state(str(error.data["state"])).lower()
    }


SENTENCES: Final[Mapping[str, Callable[[DomainError], str]]] = {
    "already_decided": _told(_lazy("It was decided before; look at it again.")),
    "second_reader_needed": _told(_lazy("You wrote it: news is sent by somebody else.")),
    "nobody_to_tell": _told(_lazy("No member would get it.")),
    "wrong_state": _wrong_state,
    "campaign_invalid": _campaign_invalid,
    "not_amendable": _not_amendable,
    "asked_from_outside": _told(
        _lazy("An operator's signal or a buyer's order asked for this, so what is asked is theirs to change.")
    ),
    "second_approver_needed": _told(
        _lazy("You approved it already. At this size a second person has to approve it too.")
    ),
    "confirm_by_another": _told(_lazy("You agreed to this contract yourself: another person confirms it.")),
    "frozen": _told(_lazy("Nothing is sent to homes just now: the co-op has frozen sending.")),
    "invalid_field": _invalid_field,
    "email_taken": _told(_lazy("Somebody signs in with this address already. Sign in to add another home.")),
    "home_occupied": _told(
        _lazy("Somebody else is on record in that home. Ask us: we end their stay first.")
    ),
    "own_home_already": _told(_lazy("Your household is on record in this home already.")),
    "gsp_group_unknown": _told(_lazy("Say which GSP group the meter is in; the co-op knows it.")),
    "terms_not_published": _told(
        _lazy("The co-op has not published its terms yet, so nobody can join. Try again in a few days.")
    ),
    "terms_changed": _told(_lazy("The terms have changed since you opened this page. Read the new ones.")),
    "application_closed": _told(
        _lazy("This enquiry is being looked at or was decided: what you told stands.")
    ),
    "not_decidable": _told(_lazy("Only an enquiry that was handed in, and is not joined yet, is decided.")),
    "not_approved": _told(_lazy("This enquiry is not approved, so nobody can join by it yet.")),
    "answers_missing": _told(_lazy("Some questions are open yet.")),
    "token_ended": _told(_lazy("You have revoked the key of this form. Open the page again for another.")),
    "too_many_tokens": lambda error: (
        _("You have %(most)s keys in use, which is as many as there can be: revoke one first.") % error.data
    ),
    "no_home_of_yours": _told(_lazy("Your household lives in no such home of the co-op at the moment.")),
    "no_readings": _told(_lazy("No readings have come in yet.")),
    "day_unreadable": lambda error: (
        _("“%(value)s” in %(field)s is no day: write it as 2026-01-15, or 01-15 for one of every year.")
        % error.data
    ),
    "too_many_asked": _told(_lazy("That was asked too often. Try again in an hour.")),
    "moved_out_before_moving_in": _told(_lazy("That day is before the household moved in.")),
    "not_their_home": _told(_lazy("The household does not live there.")),
    "not_a_member": _told(_lazy("That membership has ended already, or has only just begun.")),
    "not_of_the_household": _told(_lazy("Choose a member of the same household.")),
    "not_account_holder": _only_the_holder,
    "colour_too_light": lambda error: (
        _("White letters are hard to read on it (contrast %(contrast)s; it takes 4.5): choose a darker one.")
        % error.data
    ),
    "nobody_to_leave": _told(_lazy("Nobody of the co-op lives in that home.")),
    "not_the_partners": _told(_lazy("That home is not the partner’s.")),
    "not_asked": _told(_lazy("That is not asked just now, or you have answered it already.")),
    "score_missing": _told(_lazy("Answer each question, from 1 to 5.")),
    "job_open": _told(_lazy("A visit to this home is planned already.")),
    "job_wrong_state": _told(_lazy("The visit is not at that step. Reload the page to see where it stands.")),
    "not_an_installer": _told(_lazy("That account is not an installer’s.")),
    "too_few_tries": lambda error: (
        _("Tried %(tries)s times so far: a CAD is given up after %(needed)s that failed.") % error.data
    ),
    "not_ready": _told(_lazy("Something is left to do: see the list.")),
    "home_has_cad": _told(_lazy("The home has a CAD in use; that one has to be retired first.")),
    "hub_not_planned": _told(_lazy("The hub is commissioned already, so it needs no code.")),
    "unknown_asset_kind": _told(_lazy("There is no such kind of device.")),
    "power_out_of_range": lambda error: _("%(given_w)s W is out of range: 1 to %(limit_w)s W.") % error.data,
    "photo_unusable": lambda error: (
        _("That photo is too large: 10 MB and 50 megapixels at most.")
        if error.data["problem"] == "too_large"
        else _("That is no JPEG, PNG or WebP picture.")
    ),
    "champion_code_taken": _told(_lazy("Another champion has this code.")),
    "campaign_ended": _campaign_ended,
    "cannot_opt_back_in": _cannot_opt_back_in,
    "participation_closed": _participation_closed,
    "readings_incomplete": _readings_incomplete,
    "already_created": _told(
        _lazy("This form was sent before, for another campaign. Open an empty form for a new one.")
    ),
    "nobody_to_ask": _told(
        _lazy("The plan has nobody left to ask. Plan again; if nobody is found, choose another zone or time.")
    ),
    "ramp_busy": _told(
        _lazy("Other campaigns are being approved or sent at this moment. Nothing was approved; try again.")
    ),
    "ramp_taken": lambda error: (
        _(
            "The rules let %(most)s more of the load of %(substation)s change at that time%(beside)s, and"
            " this asks %(asked)s there. Plan again: the plan then keeps to that. Or choose another time."
        )
        % {"substation": error.data["substation"], **_ramp(error)}
    ),
    "portfolio_ramp_taken": lambda error: (
        _(
            "All homes together may change by %(cap)s a minute: %(most)s are left at that time%(beside)s, and"
            " this asks %(asked)s. Plan again: the plan then keeps to that. Or choose another time, or have"
            " the cap raised under Rules."
        )
        % {"cap": wording.power(int(str(error.data["w_per_minute"]))), **_ramp(error)}
    ),
    "campaign_not_completed": _told(_lazy("Only a campaign that is over can be settled.")),
    "settlement_busy": _told(_lazy("Somebody else is settling it at this moment. Try again in a minute.")),
    "knowledge_runs_backwards": _told(
        _lazy("A newer settlement than this one exists already. Reload the page to see it.")
    ),
    "request_closed": _told(_lazy("It was answered before. Open another for what is new.")),
    "request_open": _told(_lazy("You have asked that already, and it is not answered yet.")),
    "export_not_ready": _told(_lazy("The copy is not ready, or its 30 days are over. Ask for another.")),
    "no_home_to_correct": _told(
        _lazy("No home of the co-op’s is yours at the moment. Tell us in words below.")
    ),
    "no_account_to_correct": _told(_lazy("There is no sign-in, so it has no address.")),
    "mpan_taken": _told(_lazy("That meter point is recorded for another home. Tell us in words below.")),
    "works_here": _told(
        _lazy("This sign-in works for the co-op. An administrator ends that first, then you can be erased.")
    ),
    "erased_before": _told(_lazy("There is nothing left to erase.")),
    "erasure_list_unwritable": _told(
        _lazy("The list of erasures cannot be written at the moment, so nothing was erased. Tell the co-op.")
    ),
    "second_person_needed": _told(
        _lazy("Whoever proposed a round cannot approve it. Ask a second person who may settle.")
    ),
    "round_decided": _told(_lazy("That round was approved or withdrawn before. Reload the page to see it.")),
    "round_not_computed": _told(_lazy("The round is not computed yet, so there is nothing to approve.")),
    "round_stale": _told(
        _lazy("A campaign of this round was settled again in the meantime. Withdraw it and propose another.")
    ),
    "round_waits": _told(
        _lazy("Another round with this campaign waits for approval. Approve or withdraw that one first.")
    ),
    "round_empty": _told(_lazy("Choose at least one campaign of the programme.")),
    "wrong_kind": _told(
        _lazy("That campaign is final already, or not final yet: choose the other kind of round.")
    ),
    "form_not_stated": _told(
        _lazy("Nobody has said what kind of registered society the co-op is. State its legal form first.")
    ),
    "year_decided": _told(_lazy("The surplus of that year was shared before: each year is shared once.")),
    "surplus_not_there": _told(
        _lazy("The co-op’s own account does not hold that much. Enter a surplus that it holds.")
    ),
    "dividend_not_allowed": _told(
        _lazy(
            "A community benefit society cannot pay a dividend on members’ transactions."
            " Set the dividend to 0 % and share between reserves and the community fund."
        )
    ),
    "resolution_invalid": _told(
        _lazy(
            "That vote cannot be applied: the three percentages sum to 100, more votes are for than against."
        )
    ),
    "no_transactions": _told(
        _lazy("No household earned anything in that period, so a dividend has nothing to go by.")
    ),
    "surplus_waits": _told(
        _lazy("Another vote on that year waits for approval. Approve or withdraw that one first.")
    ),
    "proposal_decided": _told(_lazy("That vote was approved or withdrawn before.")),
    "second_sharer_needed": _told(
        _lazy("Whoever wrote a vote down cannot approve it. Ask a second person who may settle.")
    ),
    "zero_weights": _told(
        _lazy(
            "There is money to share and no home the share policy would give it to: none delivered, or none"
            " stood ready. Nothing was posted. Agree with the buyer about this event, or choose to hold the"
            " money for the community fund."
        )
    ),
    "negative_pool": _told(_lazy("The revenue is below zero. Nothing was posted; somebody has to look.")),
    "policy_not_in_force": _told(
        _lazy("No version of the share policy was in force at the event. Nothing was posted.")
    ),
    "price_missing": _told(_lazy("A price of the contract is missing or no number. Nothing was posted.")),
    "days_missing": _told(
        _lazy(
            "Some homes have no readings on the days before the event that their baseline looks at. "
            "Load them, or settle without them."
        )
    ),
    "temperatures_missing": _told(
        _lazy(
            "The baseline goes by outdoor temperatures, and some of the event are not known. Import them, as "
            "prices are, or settle without them: there it is the mean of its days."
        )
    ),
    "rule_not_computed": _told(
        _lazy("The baseline rule needs a day or an input that is not there. Nothing was posted.")
    ),
    "unknown_rule": _told(_lazy("The terms name a baseline rule that does not exist. Nothing was posted.")),
    "round_not_posted": _told(_lazy("Only a round that was approved and posted has statements.")),
    "no_statements": _told(_lazy("The round touched no home, so it has no statements.")),
    "files_not_ready": lambda error: (
        _("The files are being written: %(done)s of %(of)s statements so far.") % error.data
    ),
    "batch_waits": _told(_lazy("Another batch waits for approval. Approve or withdraw that one first.")),
    "batch_empty": _told(_lazy("Nobody can be paid now: the reasons are listed below.")),
    "batch_decided": _told(_lazy("That batch was approved or withdrawn before.")),
    "batch_not_approved": _told(_lazy("The file is there once a second person has approved the batch.")),
    "balance_changed": _told(
        _lazy("A balance or bank details changed since the batch was proposed. Withdraw it, propose another.")
    ),
    "originator_missing": lambda error: (
        _("Set %(variable)s: Bacs needs the co-op's own account.") % error.data
    ),
    "remittance_known": _told(_lazy("A remittance with that reference was taken in before.")),
    "dispute_decided": _told(_lazy("That dispute was decided before.")),
    "policy_retroactive": _told(
        _lazy("A policy never reaches back: choose a later day, after the version before it.")
    ),
    "pdf_unavailable": _told(
        _lazy("This server cannot make PDFs: its Pango library is missing. Print this page instead.")
    ),
    "households_vanished": _told(
        _lazy(
            "Homes that were paid before are no longer in the campaign. Somebody has to look into it first."
        )
    ),
    "hub_replaced": lambda error: (
        _("The hub %(by)s has its place already. Open that one, or retire it first.") % error.data
    ),
    "hub_out_of_use": _told(
        _lazy("Only a hub in use is replaced. A retired one is taken into use again instead.")
    ),
    "hub_in_use": _told(_lazy("This hub is in use or planned already.")),
    "serial_taken": _told(_lazy("A device with this serial number is on record already. Look for it above.")),
    "unknown_need": lambda error: _("“%(given)s” means nothing to a hub. Known: %(known)s.") % error.data,
    "product_known": _told(_lazy("The catalogue has this make and model already.")),
    "home_has_meter": _told(_lazy("Somebody else put a meter on record just now. Reload the page.")),
    "asset_retired": _told(_lazy("It is out of use for good. Another one is installed in its place.")),
    "change_not_at_that_step": _told(
        _lazy("The change is not at that step any more. Reload the page to see where it stands.")
    ),
    "nothing_chosen": _told(_lazy("Nothing in use fits what was chosen, so there is nothing to change.")),
    "too_many_chosen": lambda error: (
        _("More than %(most)s rows at once: choose fewer, or split the list.") % error.data
    ),
    "rollout_over": _told(_lazy("That update is halted or finished. Reload the page to see it.")),
    "partner_name_taken": _told(_lazy("There is a partner of this name already.")),
    "account_in_use": _told(
        _lazy("This address signs in for staff or for another partner. Use another address.")
    ),
    "rows_unusable": lambda error: _("Found: “%(found)s”. Expected is %(expected)s.") % error.data,
    "not_founded": _told(
        _lazy("This installation has no co-op yet. Its administrator has to set it up first.")
    ),
}


def _lower_first(words: str) -> str:
    return words[:1].lower() + words[1:]
