"""What people type about people, compartments, grants and tokens. Forms check; actions write."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.actions import TOKEN_LIFE_MOST
from accounts.models import ARCHIVE_WIDE_ROLES, Compartment, Role, User
from accounts.permissions import compartments, permitted


def absorb(form: forms.BaseForm, error: ValidationError) -> None:
    """Put what an action found wrong under the fields of the form, and the rest above it: no typed text is lost."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for field, errors in error.error_dict.items():
        form.add_error(field if field != NON_FIELD_ERRORS and field in form.fields else None, errors)


class SignInForm(AuthenticationForm):
    """User name and password. The name is lowered first: attempts are counted for the one it means."""

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        return username.strip().lower()


class PasswordForm(forms.Form):
    """A new password, twice, held against the archive's password rules."""

    password = forms.CharField(
        label=_("New password"),
        strip=False,
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 12 characters. Several words that do not belong together are easy to keep in mind."),
    )
    again = forms.CharField(
        label=_("New password again"),
        strip=False,
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        password, again = cleaned.get("password"), cleaned.get("again")
        if password and again and password != again:
            self.add_error("again", _("The two passwords are not the same."))
        if password:
            try:
                validate_password(password, self.user)
            except ValidationError as weak:
                self.add_error("password", weak)
        return cleaned


class OwnPasswordForm(PasswordForm):
    """A new password for someone signed in, who shows that they know the present one."""

    present = forms.CharField(
        label=_("Present password"),
        strip=False,
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("present", "password", "again")

    def clean_present(self) -> str:
        present: str = self.cleaned_data["present"]
        if not self.user.check_password(present):
            raise ValidationError(_("This is not your present password."))
        return present


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("display_name", "language")
        help_texts = {"display_name": _("Shown in the custody story of everything you do.")}


class InviteForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("username", "display_name", "email", "language")
        help_texts = {
            "username": _("What the person types to sign in. Small letters, digits, dot, dash; it cannot be changed."),
            "display_name": _("Shown in the custody story. May be a pseudonym."),
            "email": _("Optional; the archive sends no mail."),
        }
        widgets = {
            "username": forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "dir": "ltr"}),
            "email": forms.EmailInput(attrs={"dir": "ltr"}),
        }


class ReasonForm(forms.Form):
    """Why: kept in the ledger with the act."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Kept in the ledger with your name. Do not name witnesses."),
    )


class GrantForm(ReasonForm):
    """A role for a person in a compartment; the choices are those in which this administrator may grant."""

    user = forms.ModelChoiceField(label=_("Person"), queryset=User.objects.none())
    role = forms.ChoiceField(
        label=_("Role"),
        choices=[(role.value, role.label) for role in Role],
        widget=forms.RadioSelect,
    )
    compartment = forms.ModelChoiceField(
        label=_("Compartment"),
        queryset=Compartment.objects.none(),
        required=False,
        empty_label=_("The whole archive (Administrator and Auditor only)"),
    )
    expires_on = forms.DateField(
        label=_("Ends after"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("The last day on which the role counts, in UTC. Empty: until revoked."),
    )
    confirm = forms.BooleanField(label=_("I checked the person, the role and the compartment."))
    field_order = ("user", "compartment", "role", "expires_on", "reason", "confirm")

    def __init__(
        self, *args: Any, by: User, user: User | None = None, compartment: Compartment | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fixed_user, self.fixed_compartment = user, compartment
        people = self.fields["user"]
        where = self.fields["compartment"]
        assert isinstance(people, forms.ModelChoiceField)
        assert isinstance(where, forms.ModelChoiceField)
        people.queryset = permitted(by, "user.view", User.objects.filter(is_active=True)).exclude(pk=by.pk)
        where.queryset = compartments(by, "compartment.grant")
        if user is not None:
            del self.fields["user"]
        if compartment is not None:
            del self.fields["compartment"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.fixed_user is not None:
            cleaned["user"] = self.fixed_user
        if self.fixed_compartment is not None:
            cleaned["compartment"] = self.fixed_compartment
        role = cleaned.get("role")
        unchosen = "compartment" not in self.errors and cleaned.get("compartment") is None
        if role and unchosen and role not in ARCHIVE_WIDE_ROLES:
            self.add_error("compartment", _("This role sees evidence: choose one compartment."))
        return cleaned

    def clean_expires_on(self) -> Any:
        day = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.now().date():
            raise ValidationError(_("This day is over already."))
        return day

    @property
    def expires_at(self) -> datetime | None:
        """The first moment (UTC) at which the role no longer counts: the day after the last one."""
        day = self.cleaned_data["expires_on"]
        return datetime.combine(day, time.min, UTC) + timedelta(days=1) if day else None


class CompartmentForm(forms.ModelForm[Compartment]):
    class Meta:
        model = Compartment
        fields = ("code", "title", "description")
        help_texts = {
            "code": _(
                "Capital letters, digits and dashes, such as SY-2025. Accession numbers begin with it, for ever."
            ),
            "title": _("Its members see it; auditors, who see no content, see it too: name no person."),
        }
        widgets = {"code": forms.TextInput(attrs={"dir": "ltr", "autocapitalize": "characters"})}


class DescribeCompartmentForm(forms.ModelForm[Compartment]):
    class Meta:
        model = Compartment
        fields = ("title", "description")
        help_texts = CompartmentForm.Meta.help_texts


class TokenForm(forms.Form):
    """A new API token."""

    purpose = forms.CharField(
        label=_("What it is for"), max_length=200, help_text=_("The program and the machine that will hold it.")
    )
    days = forms.IntegerField(label=_("Days it lives"), min_value=1, max_value=TOKEN_LIFE_MOST.days, initial=90)
    writes = forms.BooleanField(
        label=_("May also write"),
        required=False,
        help_text=_("Without this it only reads. It never may more than you may."),
    )

    @property
    def life(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])
