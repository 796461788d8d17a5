"""Login of staff with a password and a token: six digits of an authenticator, or one of the recovery codes."""

from typing import Any

from django import forms
from django_otp.forms import OTPAuthenticationFormMixin
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from counter.api.logins import ThrottledLogin

TOKEN_DIGITS = 6  # of an authenticator; a recovery code is longer


class StaffLoginForm(ThrottledLogin, AuthenticationForm):
    """Name and password, which cannot be guessed for ever."""


class TokenLoginForm(OTPAuthenticationFormMixin, StaffLoginForm):
    """What the token looks like says which device it is of, so that no other one counts a failure."""

    otp_token = forms.CharField(
        label="Token",
        required=False,
        max_length=16,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code"}),
    )

    def clean(self) -> dict[str, Any]:
        """Password first, then the token."""
        self.cleaned_data = super().clean()
        self.clean_otp(self.get_user())
        return self.cleaned_data

    def _chosen_device(self, user: Any) -> Device | None:
        token = self.cleaned_data.get("otp_token", "")
        kind = TOTPDevice if token.isdecimal() and len(token) == TOKEN_DIGITS else StaticDevice
        device = kind.objects.filter(user=user, confirmed=True).first()
        # Locked, so that of two logins at once with one token one counts.
        return device and Device.from_persistent_id(device.persistent_id, for_verify=True)

    def _update_form(self, user: Any) -> None:
        """The password is not sent back with the page."""
