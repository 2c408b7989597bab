"""What each page of the co-op is for: why whoever works here reads there what is somebody's.

A page that shows anything sealed, or anybody's readings, and is in none of the tables below fails in the
tests (`watching`); on a live site it is recorded as having no stated purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _lazy

OWN: Final = frozenset(
    {
        "answer_landlord",
        "calendar",
        "change_bank",
        "choose_gift",
        "choose_resolution",
        "choose_tariff",
        "earnings",
        "emoncms_bulk",
        "emoncms_data",
        "emoncms_feeds",
        "emoncms_post",
        "erase_me",
        "first_run",
        "home",
        "join",
        "join_agree",
        "join_by",
        "join_check",
        "join_continue",
        "join_home",
        "join_household",
        "join_letter",
        "join_standing",
        "join_things",
        "join_withdraw",
        "lift_restriction",
        "my_apps",
        "my_consents",
        "my_notices",
        "my_number",
        "my_plan",
        "my_rights",
        "my_terms",
        "notice_link",
        "own_asset",
        "own_needs",
        "preferences",
        "revoke_token",
        "setup",
        "setup_try",
        "step_up",
        "survey",
        "take_back_opt_out",
        "take_copy",
        "usage",
        "usage_csv",
        "usage_json",
        "withdraw_consent",
    }
)
"""Pages on which people see what is their own, and nothing else."""

OWN_PREFIXES: Final = ("account_", "mfa_", "usersessions_", "member_api:")
"""Pages of the own sign-in, and what a member's own program asks."""

NOBODYS: Final = frozenset(
    {
        "brand_css",
        "brand_logo",
        "house_css",
        "house_logo",
        "livez",
        "readyz",
        "receipts_in",
        "set_language",
        "sms_in",
    }
)
"""What is served to everybody and is of nobody."""

PURPOSES: Final[Mapping[str, tuple[str, str]]] = {
    "today": ("Today", "seeing what has to be done"),
    **dict.fromkeys(("notice_log", "resend_notice"), ("notices", "seeing that notices arrive")),
    "search": ("search", "looking somebody up"),
    **dict.fromkeys(
        ("operator_list", "operator", "operator_action", "operator_vtn", "operator_vtn_action"),
        ("network operators", "driving homes for a network operator"),
    ),
    **dict.fromkeys(
        (
            "market_list",
            "market_new",
            "market_file",
            "market_choice",
            "market_buyers",
            "market_buyer",
            "market_buyer_action",
            "market_entry",
            "market_request",
            "market_action",
        ),
        ("the flexibility market", "offering flexibility to its buyers"),
    ),
    **dict.fromkeys(("campaign_list", "campaign_new", "campaign_rules"), ("campaigns", "running campaigns")),
    **dict.fromkeys(
        ("campaign_detail", "campaign_live", "campaign_action", "campaign_change"),
        ("a campaign", "running a campaign"),
    ),
    **dict.fromkeys(
        (
            "event_report",
            "event_evidence_csv",
            "event_evidence_json",
            "event_evidence_pdf",
            "api_campaigns",
            "api_campaign_report",
        ),
        ("the report of an event", "reporting an event"),
    ),
    **dict.fromkeys(("forecast", "forecast_csv"), ("the flexibility forecast", "running campaigns")),
    **dict.fromkeys(("kpis", "kpis_csv"), ("the co-op's figures", "telling how the co-op does")),
    **dict.fromkeys(("licence_evidence", "licence_pack"), ("load control evidence", "showing a regulator")),
    **dict.fromkeys(("settings_list", "setting"), ("settings", "setting how the co-op works")),
    **dict.fromkeys(
        ("circular_list", "circular", "circular_action"), ("writing to members", "telling members something")
    ),
    "answer_event": ("an event at a home", "answering an event for a household"),
    **dict.fromkeys(("night_plans", "sending_action"), ("plans of the night", "running campaigns")),
    **dict.fromkeys(
        ("statement", "statement_csv", "statement_json", "statement_pdf"),
        ("a statement", "answering for the money"),
    ),
    **dict.fromkeys(
        ("round_list", "round_page", "round_statements", "round_action", "dispute_list", "dispute_action"),
        ("settlement", "settling what was earned"),
    ),
    **dict.fromkeys(
        ("payment_list", "payment_status", "payment_batch", "batch_file", "batch_action"),
        ("payments", "paying members"),
    ),
    **dict.fromkeys(
        ("policy_list", "surplus", "surplus_action", "surplus_society"),
        ("the surplus", "sharing the surplus"),
    ),
    **dict.fromkeys(
        ("baseline_explained", "unusual_windows"), ("a home's baseline", "explaining what an event earned")
    ),
    **dict.fromkeys(
        ("placebo_studies", "placebo_study", "placebo_study_live", "placebo_study_csv", "baseline_rules"),
        ("baselines", "testing baselines"),
    ),
    **dict.fromkeys(("funnel", "funnel_csv"), ("joining", "helping people to join")),
    "enquiry_page": ("an enquiry", "deciding an enquiry"),
    **dict.fromkeys(
        ("champion_list", "survey_results", "joining_rules", "terms_texts"),
        ("joining", "helping people to join"),
    ),
    **dict.fromkeys(
        ("member_find", "household_page", "step_page", "household_consents"),
        ("a membership", "looking after a membership"),
    ),
    "register_import": ("the register", "taking members in"),
    "household_needs": ("needs of a household", "taking care of a household"),
    **dict.fromkeys(
        ("visit_list", "visit_new", "visit_page", "jobsheet", "visit_photo", "visit_action", "survey_limits"),
        ("visits", "planning and making visits"),
    ),
    **dict.fromkeys(
        ("home_list", "home_export", "place_map", "home_page", "home_action"),
        ("the registry of homes", "looking after homes and devices"),
    ),
    **dict.fromkeys(
        ("change_list", "change_new", "change_page", "change_refused", "change_action"),
        ("changes of many homes", "looking after homes and devices"),
    ),
    **dict.fromkeys(
        (
            "product_list",
            "product_new",
            "product_page",
            "hub_list",
            "hub_page",
            "hub_action",
            "update_list",
            "update_action",
        ),
        ("hubs and devices", "looking after homes and devices"),
    ),
    **dict.fromkeys(
        ("import_list", "import_detail", "import_rejects", "message_rules"),
        ("files and messages with readings", "taking readings in"),
    ),
    "data_health": ("how readings come in", "finding readings that are missing"),
    "home_readings": ("readings of a home", "finding readings that are missing"),
    "rights_list": ("requests", "answering requests in time"),
    "rights_request": ("request", "answering this request"),
    "processing_record": ("the record of processing", "keeping it"),
    **dict.fromkeys(
        (
            "partner_list",
            "partner_detail",
            "partner_home",
            "partner_csv",
            "partner_properties",
            "partner_properties_of",
            "partner_brand",
            "partner_brand_of",
            "tenancy_change",
        ),
        ("a landlord's properties", "looking after a landlord's properties"),
    ),
}
"""Address -> (page, why), as the member reads them."""

RECORDS: Final = "keeping the records"
"""Why somebody reads in the stock admin."""

WORDS: Final[Mapping[str, Promise]] = {
    "full_name": _lazy("name"),
    "name": _lazy("name"),
    "address": _lazy("address"),
    "mpan": _lazy("meter point number"),
    "email": _lazy("email address"),
    "words": _lazy("what was written"),
    "wanted": _lazy("what was written"),
    "reason": _lazy("what was written"),
    "answers": _lazy("what an enquiry told"),
    "readings": _lazy("readings"),
    "statement": _lazy("statement"),
    "note": _lazy("notes and photos of visits"),
    "caption": _lazy("notes and photos of visits"),
    "jpeg": _lazy("notes and photos of visits"),
    "cad_note": _lazy("notes and photos of visits"),
    "survey_notes": _lazy("notes and photos of visits"),
    "bankdetail": _lazy("bank details"),
    "care": _lazy("needs"),
}
"""What is read, by the last part of its kind (`opendsr.kernel.reads`)."""


def in_words(kind: str) -> Promise:
    """What a kind of reading is called, such as `members_member.full_name`: a name."""
    *_, table, last = ("", *kind.split("."))
    return WORDS.get(last) or WORDS.get(table.rpartition("_")[2]) or _lazy("other details")
