"""Forms of the staff pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from vtn.requests import LARGEST_CSR_BYTES

PEM = "-----BEGIN CERTIFICATE REQUEST-----"


class CsrField(forms.CharField):
    """A certificate signing request in PEM form."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("label", _("Certificate signing request"))
        options.setdefault("help_text", _("The hub's csr.pem. Its key stays on the hub."))
        widget = forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "placeholder": PEM})
        super().__init__(widget=widget, max_length=LARGEST_CSR_BYTES, **options)


class CsrForm(forms.Form):
    """Another certificate for a known VEN."""

    csr_pem = CsrField()
    revoke_others = forms.BooleanField(
        label=_("Revoke its other certificates (a replaced or stolen hub)"), required=False
    )


class EnrolForm(forms.Form):
    """A new VEN."""

    ven_name = forms.CharField(
        label=_("Name"),
        max_length=128,
        help_text=_("Such as the hub's serial number, never a person's name."),
    )
    csr_pem = CsrField()


class CodeForm(forms.Form):
    """A one-time code by which a hub enrols itself."""

    subject = forms.CharField(
        label=_("Subject"),
        max_length=64,
        help_text=_("What the hub gives as user name: its serial number. Never a person's name."),
    )
    ven_id = forms.CharField(
        label=_("Takes the place of VEN"),
        required=False,
        max_length=64,
        help_text=_("For a replaced hub: it becomes this VEN."),
    )
