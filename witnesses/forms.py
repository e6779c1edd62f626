"""What people type about witnesses, testimonies and consent. Forms check; actions write."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.forms import ReasonForm
from accounts.models import Compartment, User
from accounts.permissions import compartments
from witnesses.describing import interviewers
from witnesses.identity import LONGEST, RealIdentity, checked
from witnesses.models import Consent, Testimony, Witness
from witnesses.particulars import CONSENT, TESTIMONY
from witnesses.vault import SHORTEST_REASON
from witnesses.vocabulary import (
    FORM_VERSION,
    AgeBand,
    Guardian,
    IdentityLevel,
    Medium,
    Purpose,
    RecipientKind,
    Vulnerability,
    WitnessKind,
)

#: Browsers keep nothing of what is typed into a field that may name somebody.
SECRET = {"autocomplete": "off", "autocorrect": "off", "spellcheck": "false", "dir": "auto"}
EDTF_HELP = _("Examples: 2025-03-08, 2025-03, 2025-03-06/2025-03-10, 2025-03-08?")


def posted(request: HttpRequest) -> QueryDict | None:
    """What was sent, also when it is empty; None when nothing was."""
    return request.POST if request.method == "POST" else None


class AskForm(forms.Form):
    """Has this person already spoken to us? Asked by POST only: a name is never part of an address."""

    compartment = forms.ModelChoiceField(label=_("Compartment"), queryset=Compartment.objects.none(), empty_label=None)
    name = forms.CharField(
        label=_("Name, in Latin script"), required=False, max_length=200, widget=forms.TextInput(attrs=SECRET)
    )
    name_ar = forms.CharField(
        label=_("Name, in Arabic script"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs=SECRET | {"dir": "rtl", "lang": "ar"}),
    )
    aliases = forms.CharField(
        label=_("Kunya, nickname, other spellings"),
        required=False,
        max_length=LONGEST["aliases"],
        help_text=_("One on each line."),
        widget=forms.Textarea(attrs=SECRET | {"rows": 2}),
    )
    birth_year = forms.IntegerField(
        label=_("Year of birth"),
        required=False,
        min_value=1880,
        max_value=2100,
        widget=forms.NumberInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = self.fields["compartment"]
        assert isinstance(where, forms.ModelChoiceField)
        where.queryset = compartments(user, "witness.open")

    @property
    def asked(self) -> list[str]:
        """The names typed, each by itself."""
        said = self.cleaned_data
        return [name for name in (said["name"], said["name_ar"], *said["aliases"].splitlines()) if name.strip()]


class WitnessForm(forms.Form):
    """What may be said of a witness without saying who it is."""

    kind = forms.ChoiceField(label=_("How they know"), choices=WitnessKind.choices, widget=forms.RadioSelect)
    age_band = forms.ChoiceField(label=_("Age"), choices=AgeBand.choices, required=False)
    vulnerabilities = forms.MultipleChoiceField(
        label=_("Care needed"),
        choices=Vulnerability.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Only what whoever meets this person again must know beforehand."),
    )

    @classmethod
    def of(cls, witness: Witness, data: Any = None) -> "WitnessForm":
        return cls(
            data,
            initial={
                "kind": witness.kind,
                "age_band": witness.age_band,
                "vulnerabilities": witness.vulnerabilities,
            },
        )


class IdentityForm(forms.Form):
    """Who a witness really is. Goes straight into the vault."""

    name = forms.CharField(label=_("Name, in Latin script"), required=False, widget=forms.TextInput(attrs=SECRET))
    name_ar = forms.CharField(
        label=_("Name, in Arabic script"),
        required=False,
        widget=forms.TextInput(attrs=SECRET | {"dir": "rtl", "lang": "ar"}),
    )
    aliases = forms.CharField(
        label=_("Kunya, nickname, other spellings"),
        required=False,
        help_text=_("One on each line."),
        widget=forms.Textarea(attrs=SECRET | {"rows": 2}),
    )
    birth_date = forms.CharField(
        label=_("Date of birth"),
        required=False,
        help_text=_("Examples: 1980-05-17, 1980, 1980~."),
        widget=forms.TextInput(attrs=SECRET | {"dir": "ltr"}),
    )
    contacts = forms.CharField(
        label=_("How to reach them safely"), required=False, widget=forms.Textarea(attrs=SECRET | {"rows": 3})
    )
    relations = forms.CharField(
        label=_("Relations"),
        required=False,
        help_text=_("Guardian, family, people they must not meet."),
        widget=forms.Textarea(attrs=SECRET | {"rows": 3}),
    )
    notes = forms.CharField(label=_("Notes"), required=False, widget=forms.Textarea(attrs=SECRET | {"rows": 3}))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and self.is_told(cleaned):
            checked({name: cleaned.get(name, "") for name in LONGEST})
        return cleaned

    def is_told(self, cleaned: dict[str, Any]) -> bool:
        return True

    @property
    def identity(self) -> RealIdentity:
        return checked({name: self.cleaned_data[name] for name in LONGEST})


class NewWitnessForm(WitnessForm, IdentityForm):
    """A witness and, where it is known, who it is. Without any word of identity there is none yet."""

    compartment = forms.UUIDField(widget=forms.HiddenInput)
    field_order = ("compartment", "kind", "age_band", "vulnerabilities", *LONGEST)

    def is_told(self, cleaned: dict[str, Any]) -> bool:
        return any(str(cleaned.get(name) or "").strip() for name in LONGEST)

    @property
    def told_identity(self) -> RealIdentity | None:
        return self.identity if self.is_told(self.cleaned_data) else None


class ReviseIdentityForm(IdentityForm):
    """A corrected identity, and why."""

    reason = forms.CharField(
        label=_("Why it is corrected"),
        min_length=SHORTEST_REASON,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "dir": "auto"}),
        help_text=_("At least 10 characters. Kept in the ledger with your name. Do not name witnesses."),
    )


class OpenIdentityForm(forms.Form):
    """Why a protection officer needs to know who a witness is, now."""

    reason = forms.CharField(
        label=_("Reason"),
        min_length=SHORTEST_REASON,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "dir": "auto"}),
        help_text=_("At least 10 characters. Kept in the ledger with your name. Do not name witnesses."),
    )
    confirm = forms.BooleanField(label=_("Nobody else can see this screen, and I need the identity for this reason."))


class TestimonyForm(forms.ModelForm[Testimony]):
    """The particulars of an interview."""

    class Meta:
        model = Testimony
        fields = TESTIMONY
        help_texts = {
            "interview_edtf": EDTF_HELP,
            "place_name": _("Where the interview took place; leave it open where that endangers somebody."),
        }
        widgets = {
            "interview_edtf": forms.TextInput(attrs={"dir": "ltr"}),
            "language": forms.TextInput(attrs={"dir": "ltr"}),
            "place_name_ar": forms.TextInput(attrs={"dir": "rtl", "lang": "ar"}),
        }

    def __init__(self, *args: Any, compartment: Compartment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        who = self.fields["interviewer"]
        assert isinstance(who, forms.ModelChoiceField)
        who.queryset = User.objects.filter(pk__in=[user.pk for user in interviewers(compartment)])
        who.empty_label = None

    def particulars(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in TESTIMONY}

    def _post_clean(self) -> None:
        """The action writes, so the instance stays as it was read."""


class NewTestimonyForm(TestimonyForm):
    """A testimony with its text and the items that record it."""

    text = forms.CharField(
        label=_("What the witness said"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 16, "dir": "auto", "autocomplete": "off"}),
        help_text=_("Sealed under its own key. It may stay empty while there is only a recording."),
    )
    recordings = forms.CharField(
        label=_("Recordings"),
        required=False,
        max_length=1_000,
        help_text=_("Accession numbers of items, apart by spaces. Recordings can also be linked afterwards."),
        widget=forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off"}),
    )

    @property
    def accessions(self) -> list[str]:
        return [part for part in re.split(r"[\s,;،]+", self.cleaned_data["recordings"]) if part]


class TextForm(forms.Form):
    """A new text of a testimony: a revision while it is open, a correction once it is sealed."""

    text = forms.CharField(
        label=_("Text"), required=False, widget=forms.Textarea(attrs={"rows": 18, "dir": "auto", "autocomplete": "off"})
    )
    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "auto"}),
        help_text=_("Kept in the ledger with your name. Do not name witnesses."),
    )

    def __init__(self, *args: Any, sealed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = sealed


class RecordingForm(forms.Form):
    accession = forms.CharField(
        label=_("Accession number"), max_length=30, widget=forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off"})
    )


class ConsentForm(forms.Form):
    """What a witness agreed to."""

    identity_level = forms.ChoiceField(
        label=_("How they may appear"), choices=IdentityLevel.choices, widget=forms.RadioSelect
    )
    purposes = forms.MultipleChoiceField(
        label=_("For what"), choices=Purpose.choices, widget=forms.CheckboxSelectMultiple
    )
    recipients = forms.MultipleChoiceField(
        label=_("To whom"), choices=RecipientKind.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    named_recipients = forms.CharField(
        label=_("To these by name"),
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        help_text=_("Organisations and offices, one on each line."),
    )
    recording_media = forms.MultipleChoiceField(
        label=_("In which form"), choices=Medium.choices, widget=forms.CheckboxSelectMultiple
    )
    recontact = forms.BooleanField(label=_("May be contacted again"), required=False)
    language = forms.CharField(
        label=_("Language of the explanation"), max_length=35, widget=forms.TextInput(attrs={"dir": "ltr"})
    )
    interpreter = forms.CharField(
        label=_("Interpreter"), required=False, max_length=120, help_text=_("A pseudonym or an agency.")
    )
    explained_by = forms.CharField(
        label=_("Explained by"), max_length=120, help_text=_("A colleague, as shown in the archive.")
    )
    guardian = forms.ChoiceField(label=_("Guardian who agreed"), choices=Guardian.choices, required=False)
    given_edtf = forms.CharField(
        label=_("Given on"), max_length=60, help_text=EDTF_HELP, widget=forms.TextInput(attrs={"dir": "ltr"})
    )
    expires_on = forms.DateField(
        label=_("Ends after"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("The last day on which it counts, in UTC. Empty: until withdrawn."),
    )
    form_version = forms.CharField(label=_("Version of the form"), max_length=40, initial=FORM_VERSION)
    form_accession = forms.CharField(
        label=_("Signed form"),
        required=False,
        max_length=30,
        widget=forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off"}),
        help_text=_("Accession number of the item that shows it. It names the witness and never leaves the archive."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound and self.data.get("identity_level") == IdentityLevel.NOT_AT_ALL:
            self.fields["purposes"].required = self.fields["recording_media"].required = False

    @classmethod
    def after(cls, newest: Consent | None, by: User, data: Any = None) -> "ConsentForm":
        """A form that begins with what was agreed last: most renewals change one thing."""
        initial: dict[str, Any] = {"explained_by": by.display_name, "identity_level": IdentityLevel.PSEUDONYM}
        if newest is not None:
            kept = ("identity_level", "purposes", "recipients", "recording_media", "recontact", "language", "guardian")
            initial |= {name: getattr(newest, name) for name in kept}
            initial["named_recipients"] = "\n".join(newest.named_recipients)
        return cls(data, initial=initial)

    def clean_named_recipients(self) -> list[str]:
        names = [" ".join(line.split()) for line in self.cleaned_data["named_recipients"].splitlines()]
        return [name for name in names if name]

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.now().date():
            raise ValidationError(_("This day is over already."))
        return day

    def agreed(self) -> dict[str, Any]:
        """The consent as the action takes it; it ends with the end of its last day in UTC."""
        said = self.cleaned_data
        agreed = {name: said[name] for name in CONSENT if name != "expires_at"}
        day = said["expires_on"]
        agreed["expires_at"] = datetime.combine(day, time.min, UTC) + timedelta(days=1) if day else None
        return agreed


__all__ = [
    "AskForm",
    "ConsentForm",
    "IdentityForm",
    "NewTestimonyForm",
    "NewWitnessForm",
    "OpenIdentityForm",
    "ReasonForm",
    "RecordingForm",
    "ReviseIdentityForm",
    "TestimonyForm",
    "TextForm",
    "WitnessForm",
    "posted",
]
