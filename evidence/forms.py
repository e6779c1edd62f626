"""What people type about items. Forms check shape; actions decide and write."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from evidence.description import DESCRIBED, version_of
from evidence.models import Erasure, Item
from evidence.vocabulary import DateBasis, ErasureGround, Kind, Precision

MOST_SELECTED = 200
EDTF_HELP = _(
    "As exactly as it is known: 2025-03-08, 2025-03, 2025-03-06/2025-03-10, 2025-03-08? (uncertain), 2025-03-XX."
)

#: The groups in which the describe form shows its fields, row by row.
GROUPS: tuple[tuple[Any, tuple[tuple[str, ...], ...]], ...] = (
    (_("What it is"), (("title",), ("description",), ("kind", "language"), ("graphic",))),
    (
        _("When"),
        (
            ("created_edtf", "created_basis"),
            ("published_edtf", "published_basis"),
            ("collected_edtf", "collected_basis"),
        ),
    ),
    (_("Where"), (("place_name", "place_name_ar"), ("latitude", "longitude"), ("precision", "gazetteer_code"))),
    (_("Where it comes from"), (("source_kind", "source"),)),
    (
        _("How the copy was made"),
        (("acquired_by", "acquired_edtf"), ("acquired_where", "acquired_how"), ("acquired_tool",)),
    ),
)


class DescribeForm(forms.ModelForm[Item]):
    """Everything people say of an item, with the version that was seen when the form was opened."""

    version = forms.CharField(widget=forms.HiddenInput, max_length=64)
    reason = forms.CharField(
        label=_("Why you change it"),
        required=False,
        max_length=500,
        help_text=_("Kept in the ledger with your name. Do not name witnesses."),
    )

    class Meta:
        model = Item
        fields = DESCRIBED
        widgets = {
            "description": forms.Textarea(attrs={"rows": 6, "dir": "auto"}),
            "title": forms.TextInput(attrs={"dir": "auto"}),
            "place_name_ar": forms.TextInput(attrs={"dir": "rtl", "lang": "ar"}),
            "latitude": forms.TextInput(attrs={"inputmode": "decimal", "dir": "ltr"}),
            "longitude": forms.TextInput(attrs={"inputmode": "decimal", "dir": "ltr"}),
            "language": forms.TextInput(attrs={"dir": "ltr", "autocapitalize": "none"}),
            **{
                name: forms.TextInput(attrs={"dir": "ltr", "autocapitalize": "none"})
                for name in ("created_edtf", "published_edtf", "collected_edtf", "acquired_edtf")
            },
        }
        help_texts = {
            "created_edtf": EDTF_HELP,
            "latitude": _("Decimal degrees, north is positive: 35.1824"),
            "longitude": _("Decimal degrees, east is positive: 35.9405"),
            "precision": _("How far off may it be? A place is shown as a circle of this size."),
            "graphic": _("Blurred until somebody asks to see it; never shown in lists."),
        }

    def __init__(self, data: Any = None, *, instance: Item) -> None:
        super().__init__(data, instance=instance)
        self.fields["version"].initial = version_of(instance)
        for name in ("created_basis", "published_basis", "collected_basis"):
            date_label = self.fields[name.replace("_basis", "_edtf")].label
            self.fields[name].label = _("Basis of the date: %(date)s") % {"date": date_label}

    def _post_clean(self) -> None:
        """The action checks the values under lock; the instance is left as it was read."""

    def groups(self) -> Iterator[tuple[Any, list[list[forms.BoundField]]]]:
        for title, rows in GROUPS:
            yield title, [[self[name] for name in names] for names in rows]

    @property
    def changes(self) -> dict[str, Any]:
        """The described fields as given, for the action."""
        return {name: self.cleaned_data[name] for name in DESCRIBED if name in self.cleaned_data}


class PlaceFromDeviceForm(forms.Form):
    """Taking the position a device claims over as the place; the person says how precise it is."""

    precision = forms.ChoiceField(
        label=_("Precision"),
        choices=Precision.choices,
        initial=Precision.VICINITY,
        help_text=_("Phones are often right to a few metres, and often not."),
    )


class BulkDescribeForm(forms.Form):
    """The same words for several items: only what is filled in is changed."""

    language = forms.CharField(
        label=_("Language"), max_length=35, required=False, widget=forms.TextInput(attrs={"dir": "ltr"})
    )
    graphic = forms.ChoiceField(
        label=_("Graphic content"),
        required=False,
        choices=[("", _("leave as it is")), ("yes", _("yes")), ("no", _("no"))],
    )
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[("", _("leave as it is")), *Kind.choices])
    source = forms.CharField(
        label=_("Source"),
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"dir": "auto"}),
        help_text=_("A pseudonym, a public channel, a link. Never a witness's name."),
    )
    created_edtf = forms.CharField(
        label=_("Created (shot, written)"),
        max_length=60,
        required=False,
        widget=forms.TextInput(attrs={"dir": "ltr"}),
        help_text=EDTF_HELP,
    )
    created_basis = forms.ChoiceField(
        label=_("Basis of that date"),
        required=False,
        choices=[("", _("leave as it is")), *((value, label) for value, label in DateBasis.choices if value)],
    )

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that were filled in, for the action."""
        given: dict[str, Any] = {name: value for name, value in self.cleaned_data.items() if value}
        if "graphic" in given:
            given["graphic"] = given["graphic"] == "yes"
        return given


class ErasureForm(forms.ModelForm[Erasure]):
    """On what ground something shall be erased, and why."""

    ground = forms.ChoiceField(label=_("Ground"), choices=ErasureGround.choices, widget=forms.RadioSelect)

    class Meta:
        model = Erasure
        fields = ("ground", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 3, "dir": "auto"})}

    def _post_clean(self) -> None:
        """The action writes."""


class RefuseErasureForm(forms.Form):
    """Why it stays."""

    reason = forms.CharField(
        label=_("Why it stays"), max_length=500, widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"})
    )


def selected(data: Mapping[str, Any]) -> list[str]:
    """The accession numbers ticked in a list, each once, at most MOST_SELECTED."""
    ticked = data.getlist("item") if hasattr(data, "getlist") else []
    return list(dict.fromkeys(str(accession) for accession in ticked))[:MOST_SELECTED]
