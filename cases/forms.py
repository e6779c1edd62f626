"""What a legal reviewer types. Forms check; actions write."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment, User
from accounts.permissions import compartments
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


class ReasonForm(forms.Form):
    """Why, in a sentence; it is kept in the ledger."""

    reason = forms.CharField(label=_("reason"), max_length=500)
