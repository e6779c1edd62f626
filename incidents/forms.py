"""What people type about incidents, links, claims and files to come. Forms check; actions write."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment, User
from accounts.permissions import compartments, permitted
from evidence.dates import parse
from evidence.models import Item
from incidents.claims import BREAKDOWN_FIELDS, MOST_BREAKDOWN_ROWS
from incidents.description import ASSESSED, CLAIMED, DESCRIBED
from incidents.gazetteer import place, places
from incidents.models import Claim, Incident, Link, ViolationCategory
from incidents.state import next_statuses
from incidents.vocabulary import Credibility, Dimension, Reliability, Stance, Status


def _isolated(text: object) -> SafeString:
    """Dates inside a sentence keep their own direction: in Arabic text their parts would change places."""
    return mark_safe(_DATES.sub(r'<bdi dir="ltr" class="nowrap">\1</bdi>', escape(str(text))))  # noqa: S308


_DATES = re.compile(r"(\d{4}-[0-9X/?~-]*)")
EDTF_HELP = lazy(_isolated, SafeString)(
    _(
        "As exactly as it is known: 2025-03-08, 2025-03, 2025-03-06/2025-03-10 (between), 2025-03-08? (uncertain), "
        "2025-03-07~ (about), 2025-03-XX (day unknown)."
    )
)


class EdtfField(forms.CharField):
    """An EDTF date as text; what is no date is an error under this very field."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TextInput({"dir": "ltr", "autocomplete": "off", "placeholder": "2025-03-08"})
        given: dict[str, Any] = {"required": False, "max_length": 60, "help_text": EDTF_HELP, "widget": widget}
        super().__init__(**(given | kwargs))

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        return parse(text).text


class ProseField(forms.CharField):
    """Longer text; a line end is one character, as the browser counts it."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n").replace("\r", "\n")


class IncidentForm(forms.ModelForm[Incident]):
    """What is said of an incident. A place chosen from the list fills what was left empty."""

    gazetteer = forms.ChoiceField(
        label=_("Place from the list"),
        required=False,
        help_text=_("Fills name, governorate and coordinates where you leave them empty, within 1 km."),
    )
    happened_edtf = EdtfField(label=_("Happened"))
    categories = forms.ModelMultipleChoiceField(
        label=_("Violation categories"),
        queryset=ViolationCategory.objects.all(),
        to_field_name="code",
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    reason = forms.CharField(
        label=_("Reason for the change"), required=False, max_length=500, help_text=_("Kept in the ledger.")
    )
    field_order = (
        "compartment",
        "code",
        "title",
        "title_ar",
        "categories",
        "happened_edtf",
        "happened_basis",
        "gazetteer",
        "place_name",
        "place_name_ar",
        "governorate",
        "latitude",
        "longitude",
        "precision",
        "narrative",
        "reason",
    )

    class Meta:
        model = Incident
        fields = tuple(name for name in DESCRIBED if name != "gazetteer_code")
        field_classes = {"narrative": ProseField}
        widgets = {
            "title_ar": forms.TextInput({"dir": "rtl", "lang": "ar"}),
            "place_name_ar": forms.TextInput({"dir": "rtl", "lang": "ar"}),
            "latitude": forms.TextInput({"dir": "ltr", "inputmode": "decimal"}),
            "longitude": forms.TextInput({"dir": "ltr", "inputmode": "decimal"}),
            "narrative": forms.Textarea({"rows": 12, "dir": "auto"}),
        }
        labels = {"happened_basis": _("Why you think it was then")}
        help_texts = {
            "latitude": _("Degrees north, for example 35.36211."),
            "longitude": _("Degrees east, for example 35.92759."),
            "precision": _("How far from these coordinates it may have been; the map draws a circle of that radius."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chooser = self.fields["gazetteer"]
        assert isinstance(chooser, forms.ChoiceField)
        groups: dict[str, list[tuple[str, str]]] = {}
        for found in places().values():
            groups.setdefault(str(found.governorate.label), []).append((found.code, found.label))
        chooser.choices = [("", "—"), *sorted(groups.items())]
        if self.instance.gazetteer_code in places():
            self.initial["gazetteer"] = self.instance.gazetteer_code
        self.initial["categories"] = (
            list(self.instance.categories.values_list("code", flat=True)) if not self.instance._state.adding else []
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        found = place(cleaned.get("gazetteer") or "")
        if found and cleaned.get("latitude") is None and cleaned.get("longitude") is None:
            cleaned |= {"latitude": found.latitude, "longitude": found.longitude}
            cleaned["precision"] = cleaned.get("precision") or "locality"
        if found:
            for name in ("place_name", "place_name_ar", "governorate"):
                standing = {"place_name": found.name, "place_name_ar": found.name_ar, "governorate": found.governorate}
                cleaned[name] = cleaned.get(name) or str(standing[name])
        cleaned["gazetteer_code"] = found.code if found else ""
        return cleaned

    def _post_clean(self) -> None:
        """The model is filled and checked by the action, under its lock, and by nothing else."""

    def said(self) -> dict[str, Any]:
        """The described fields, for the action."""
        return {name: self.cleaned_data[name] for name in DESCRIBED if name in self.cleaned_data}

    def chosen(self) -> list[str]:
        return [category.code for category in self.cleaned_data["categories"]]


class NewIncidentForm(IncidentForm):
    compartment = forms.ModelChoiceField(label=_("Compartment"), queryset=Compartment.objects.none())
    code = forms.CharField(
        label=_("Code"),
        required=False,
        max_length=20,
        help_text=_("Leave empty for the next number, such as I-0001."),
        widget=forms.TextInput({"dir": "ltr", "autocapitalize": "characters", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = self.fields["compartment"]
        assert isinstance(where, forms.ModelChoiceField)
        where.queryset = compartments(by, "incident.open")
        if where.queryset.count() == 1:
            self.initial["compartment"] = where.queryset.first()
        del self.fields["reason"]


class StatusForm(forms.Form):
    """The status an incident goes to, among those that may follow its present one."""

    status = forms.ChoiceField(label=_("New status"))
    reason = forms.CharField(
        label=_("Reason"), max_length=500, widget=forms.Textarea({"rows": 2}), help_text=_("Kept in the ledger.")
    )

    def __init__(self, *args: Any, incident: Incident, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chooser = self.fields["status"]
        assert isinstance(chooser, forms.ChoiceField)
        chooser.choices = [(status.value, status.label) for status in next_statuses(incident)]

    def clean_status(self) -> Status:
        return Status(self.cleaned_data["status"])


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=500, widget=forms.Textarea({"rows": 2}), help_text=_("Kept in the ledger.")
    )


class AssessmentForm(forms.ModelForm[Link]):
    """Stance, reasons and grades of a link."""

    class Meta:
        model = Link
        fields = ASSESSED
        field_classes = {"reasons": ProseField}
        widgets = {"stance": forms.RadioSelect, "reasons": forms.Textarea({"rows": 3, "dir": "auto"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stance = self.fields["stance"]
        assert isinstance(stance, forms.ChoiceField)
        stance.choices = Stance.choices
        for name, grades in (
            ("source_reliability", Reliability.choices),
            ("information_credibility", Credibility.choices),
        ):
            grade = self.fields[name]
            assert isinstance(grade, forms.ChoiceField)
            grade.choices = [("", _("Not graded")), *grades]

    def _post_clean(self) -> None:
        """The row is filled and checked by the action, under its lock, and by nothing else."""

    def said(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ASSESSED}


class IncidentField(forms.ModelChoiceField[Incident]):
    def label_from_instance(self, obj: Incident) -> str:
        return f"{obj.code} {obj.shown_title}"


class LinkForm(AssessmentForm):
    """A new link of an item, to an open incident of its compartment."""

    incident = IncidentField(label=_("Incident"), queryset=Incident.objects.none())
    field_order = ("incident", *ASSESSED)

    def __init__(self, *args: Any, by: User, item: Item, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        where = self.fields["incident"]
        assert isinstance(where, forms.ModelChoiceField)
        open_ones = Incident.objects.filter(compartment_id=item.compartment_id).exclude(status=Status.CLOSED)
        linked = Link.objects.filter(item=item, withdrawn_at__isnull=True)
        unlinked = open_ones.exclude(pk__in=linked.values("incident_id"))
        where.queryset = permitted(by, "incident.link", unlinked).order_by("code")


class ClaimForm(forms.ModelForm[Claim]):
    """What one source claims. Its parts are one a line, so that they can be pasted from a report."""

    period_edtf = EdtfField(label=_("Period"))
    document_url = forms.URLField(
        label=_("Link to the document"),
        required=False,
        max_length=1_000,
        assume_scheme="https",
        widget=forms.URLInput({"dir": "ltr"}),
        help_text=_("Opened by nobody automatically: following it tells that site who reads here."),
    )
    parts = forms.CharField(
        label=_("Breakdown"),
        required=False,
        widget=forms.Textarea({"rows": 4, "dir": "auto"}),
        help_text=_("One part a line, as the source gives it: a name, a colon, a number. For example “Latakia: 683”."),
    )
    dimension = forms.ChoiceField(label=_("Broken down by"), required=False, choices=Dimension.choices)
    field_order = (*(name for name in CLAIMED if name != "note"), "dimension", "parts", "note")

    class Meta:
        model = Claim
        fields = CLAIMED
        field_classes = {"note": ProseField}
        widgets = {
            "as_of": forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
            "note": forms.Textarea({"rows": 3, "dir": "auto"}),
        }
        help_texts = {
            "minimum": _("The same number in both fields where the source gives one number."),
        }

    def clean_parts(self) -> list[tuple[str, int]]:
        rows: list[tuple[str, int]] = []
        for number, line in enumerate(self.cleaned_data["parts"].splitlines(), start=1):
            if not line.strip():
                continue
            name, colon, count = line.replace("：", ":").rpartition(":")
            digits = count.strip().replace(",", "").replace("\u202f", "").replace("٬", "")
            if not (colon and name.strip() and digits.isdecimal()):
                raise ValidationError(
                    _("Line %(number)s is not a name, a colon and a number."), params={"number": number}
                )
            rows.append((name.strip(), int(digits)))
        if len(rows) > MOST_BREAKDOWN_ROWS:
            raise ValidationError(_("At most %(count)s parts."), params={"count": MOST_BREAKDOWN_ROWS})
        return rows

    def _post_clean(self) -> None:
        """The row is filled and checked by the action, and by nothing else."""

    def said(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in CLAIMED}

    def breakdown(self) -> list[dict[str, Any]]:
        dimension = self.cleaned_data["dimension"]
        return [
            dict(zip(BREAKDOWN_FIELDS, (dimension, name, count), strict=True))
            for name, count in self.cleaned_data["parts"]
        ]


class IntakeForm(AssessmentForm):
    """What is said of all files of one upload, before the first is sent."""

    created_edtf = EdtfField(label=_("Created (shot, written)"))
    created_basis = Item._meta.get_field("created_basis").formfield(label=_("Why you think it was then"))
    collected_edtf = EdtfField(label=_("Collected"), help_text="")
    source_kind = Item._meta.get_field("source_kind").formfield()
    source = Item._meta.get_field("source").formfield()
    acquired_by = Item._meta.get_field("acquired_by").formfield()
    acquired_edtf = EdtfField(label=_("Acquired on"), help_text="")
    acquired_where = Item._meta.get_field("acquired_where").formfield()
    acquired_how = Item._meta.get_field("acquired_how").formfield()
    acquired_tool = Item._meta.get_field("acquired_tool").formfield()
    language = Item._meta.get_field("language").formfield()
    graphic = forms.BooleanField(
        label=_("These files show graphic content"),
        required=False,
        help_text=_("They will be blurred, grey and muted until somebody asks for them."),
    )

    DESCRIBES = (
        "created_edtf",
        "created_basis",
        "collected_edtf",
        "source_kind",
        "source",
        "acquired_by",
        "acquired_edtf",
        "acquired_where",
        "acquired_how",
        "acquired_tool",
        "language",
        "graphic",
    )

    FOREMOST = ("stance", "reasons", "created_edtf", "created_basis", "graphic")

    def foremost(self) -> list[forms.BoundField]:
        """What is asked of everybody; the rest is folded."""
        return [self[name] for name in self.FOREMOST]

    def further(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in self.FOREMOST]

    def fields_said(self) -> dict[str, Any]:
        """Everything that was said, for incidents.uploads.announce."""
        return self.said() | {name: self.cleaned_data[name] for name in self.DESCRIBES}
