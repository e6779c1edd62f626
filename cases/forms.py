"""What a legal reviewer types. Forms check; actions write."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment, User
from accounts.permissions import compartments
from cases import disclosure
from cases.actions import CASE_FIELDS, EXHIBIT_FIELDS
from cases.models import CaseFile, Exhibit, Review


class CaseForm(forms.ModelForm[CaseFile]):
    """What is said of a case file."""

    class Meta:
        model = CaseFile
        fields = CASE_FIELDS
        widgets = {"summary": forms.Textarea(attrs={"rows": 5})}

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in CASE_FIELDS}

    def _post_clean(self) -> None:
        """The action writes, so the instance stays as it was read."""


class NewCaseForm(CaseForm):
    """A case file belongs to one compartment for good."""

    compartment = forms.ModelChoiceField(queryset=Compartment.objects.none(), label=_("compartment"), empty_label=None)
    field_order = ("compartment", *CASE_FIELDS)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["compartment"].queryset = compartments(user, "case.open")  # type: ignore[attr-defined]


class ExhibitForm(forms.ModelForm[Exhibit]):
    """Why an item is in the case."""

    class Meta:
        model = Exhibit
        fields = EXHIBIT_FIELDS
        widgets = {
            "relevance": forms.Textarea(attrs={"rows": 3}),
            "notes": forms.Textarea(attrs={"rows": 3}),
        }

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in EXHIBIT_FIELDS}

    def _post_clean(self) -> None:
        """The action writes, so the instance stays as it was read."""


class NewExhibitForm(ExhibitForm):
    """Which item, by its accession number."""

    accession = forms.CharField(
        label=_("accession number"), max_length=30, help_text=_("As on the item: SY-2025-000001.")
    )
    field_order = ("accession", *EXHIBIT_FIELDS)

    def clean_accession(self) -> str:
        accession: str = self.cleaned_data["accession"]
        return accession.strip().upper()


class ReviewForm(forms.ModelForm[Review]):
    """A coded assessment, with reasons."""

    class Meta:
        model = Review
        fields = ("assessment", "note")
        widgets = {"note": forms.Textarea(attrs={"rows": 3})}

    def _post_clean(self) -> None:
        """The action writes."""


class BundleForm(forms.Form):
    """What a bundle opens of its custody events. Nothing chosen at all means everything that may leave."""

    CHOOSE = "choose"

    preset = forms.ChoiceField(
        label=_("What it opens"),
        choices=[*disclosure.Preset.choices, (CHOOSE, _("Field by field, as ticked below"))],
        initial=disclosure.Preset.FULL,
        required=False,
        widget=forms.RadioSelect,
        help_text=_("What stays closed is still proven to exist, and can be opened later to whoever has the bundle."),
    )
    opened = forms.MultipleChoiceField(
        label=_("Fields"),
        choices=disclosure.Field.choices,
        initial=disclosure.ALL,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    @property
    def opened_fields(self) -> list[str]:
        """The fields to open, of a valid form."""
        preset: str = self.cleaned_data["preset"] or disclosure.Preset.FULL.value
        ticked: list[str] = self.cleaned_data["opened"]
        return ticked if preset == self.CHOOSE else disclosure.Preset(preset).fields


class ReasonForm(forms.Form):
    """Why, in a sentence; it is kept in the ledger."""

    reason = forms.CharField(label=_("reason"), max_length=500)
