"""What an auditor chooses: what to verify, and which part of the trail to read. Forms check; actions write."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment, User
from accounts.permissions import anywhere, compartments, permitted
from custody.models import EventSubject
from custody.vocabulary import Outcome, Type
from evidence.models import Item
from verification.models import Schedule
from verification.vocabulary import Scope

_SEPARATORS = re.compile(r"[\s,;]+")


class CompartmentChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Compartments by their code: a title says what is investigated."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.code)


class RunForm(forms.Form):
    """A new verification run."""

    scope = forms.ChoiceField(label=_("What to verify"), widget=forms.RadioSelect)
    compartment = CompartmentChoice(
        Compartment.objects.none(),
        label=_("Compartment"),
        required=False,
        to_field_name="code",
        empty_label=_("Choose"),
    )
    accessions = forms.CharField(
        label=_("Accession numbers"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "dir": "ltr", "spellcheck": "false"}),
        help_text=_("Apart by spaces, commas or lines: SY-2025-000001 SY-2025-000007."),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [Scope.EVERYTHING, Scope.COMPARTMENT, Scope.SELECTION]
        if anywhere(user, "checkpoint.verify"):
            offered.append(Scope.LEDGER)
        self.fields["scope"].choices = [(scope.value, scope.label) for scope in offered]  # type: ignore[attr-defined]
        self.fields["compartment"].queryset = compartments(user, "item.verify")  # type: ignore[attr-defined]

    def clean_accessions(self) -> list[str]:
        return [part for part in _SEPARATORS.split(self.cleaned_data["accessions"].upper()) if part]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("scope") == Scope.COMPARTMENT and not cleaned.get("compartment") and not self.errors:
            self.add_error("compartment", _("Choose a compartment."))
        if cleaned.get("scope") == Scope.SELECTION and not cleaned.get("accessions") and not self.errors:
            self.add_error("accessions", _("Name at least one item by its accession number."))
        return cleaned


class TrailForm(forms.Form):
    """Which events of the ledger to show."""

    type = forms.ChoiceField(label=_("Act"), required=False)
    outcome = forms.ChoiceField(label=_("Outcome"), required=False)
    agent = forms.CharField(label=_("Signs in as"), required=False, max_length=60, strip=True)
    item = forms.CharField(label=_("Accession number"), required=False, max_length=30, strip=True)
    compartment = CompartmentChoice(
        Compartment.objects.none(), label=_("Compartment"), required=False, to_field_name="code", empty_label=_("Any")
    )
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["type"].choices = [("", _("Any")), *Type.choices]  # type: ignore[attr-defined]
        self.fields["outcome"].choices = [("", _("Any")), *Outcome.choices]  # type: ignore[attr-defined]
        self.fields["compartment"].queryset = compartments(user, "trail.view")  # type: ignore[attr-defined]

    def clean_agent(self) -> User | None:
        name = self.cleaned_data["agent"]
        found = permitted(self.user, "user.view", User.objects.filter(username__iexact=name)).first() if name else None
        if name and found is None:
            raise ValidationError(_("Nobody signs in with this name."))
        return found

    def clean_item(self) -> Item | None:
        accession = self.cleaned_data["item"].upper()
        items = permitted(self.user, "item.view", Item.objects.filter(accession=accession))
        found = items.first() if accession else None
        if accession and found is None:
            raise ValidationError(_("There is no item with this number that you may see."))
        return found

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", _("This day lies before the first one."))
        return cleaned

    def condition(self) -> Q:
        """The chosen events; call on a valid form. Days are those of UTC, both included."""
        chosen, result = self.cleaned_data, Q()
        for name in ("type", "outcome"):
            if chosen[name]:
                result &= Q(**{name: chosen[name]})
        if chosen["agent"]:
            result &= Q(agent_id=chosen["agent"].pk)
        if chosen["compartment"]:
            result &= Q(compartment_id=chosen["compartment"].pk)
        if chosen["item"]:
            about = EventSubject.objects.filter(kind="item", subject_id=chosen["item"].pk)
            result &= Q(pk__in=about.values("event_id"))
        if chosen["since"]:
            result &= Q(at__gte=datetime.combine(chosen["since"], time.min, UTC))
        if chosen["until"]:
            result &= Q(at__lt=datetime.combine(chosen["until"], time.min, UTC) + timedelta(days=1))
        return result


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A compartment's own sweep schedule."""

    class Meta:
        model = Schedule
        fields = ("cycle_days", "first_hour", "last_hour", "paused", "reason")
