"""allauth's forms in the site's own style: a label above each field and nothing written inside it."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as account
from django import forms
from django.utils.translation import gettext_lazy as _


def _plain(fields: dict[str, forms.Field]) -> None:
    for field in fields.values():
        field.widget.attrs.pop("placeholder", None)


class LoginForm(account.LoginForm):
    """Email, password, and whether to stay signed in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields)
        self.fields["login"].label = _("Email address")
        self.fields["password"].help_text = ""
        self.fields["remember"].label = _("Keep me signed in on this device")


class ChangePasswordForm(account.ChangePasswordForm):
    """The password now, and the new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields)
        self.fields["oldpassword"].label = _("Your password now")
        self.fields["oldpassword"].help_text = ""
        self.fields["password1"].label = _("New password")
        self.fields["password2"].label = _("New password again")


class ResetPasswordForm(account.ResetPasswordForm):
    """The address to send the link to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields)
        self.fields["email"].label = _("Email address")


class ResetPasswordKeyForm(account.ResetPasswordKeyForm):
    """The new password twice, from the link."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self.fields)
        self.fields["password1"].label = _("New password")
        self.fields["password2"].label = _("New password again")
