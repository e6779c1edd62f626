"""Consent: recording it, taking it back, and the form on paper."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms import ReasonForm, absorb
from accounts.permissions import require
from accounts.requests import person
from witnesses import actions
from witnesses.consent import newest_consents
from witnesses.departures import departures
from witnesses.forms import ConsentForm, posted
from witnesses.models import Consent, Recording, Witness
from witnesses.queries import recorded_items
from witnesses.vocabulary import FORM_VERSION, Guardian, IdentityLevel, Medium, Purpose, RecipientKind

reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


@never_cache
@reads_or_posts
def new_consent(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """Record what a witness agreed to; the form begins with what was agreed last."""
    user, now = person(request), timezone.now()
    witness = require(user, "witness.record_consent", Witness.objects.select_related("compartment"), pk=witness_id)
    newest = newest_consents([witness.pk], now).get(witness.pk)
    form = ConsentForm.after(newest, user, posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            actions.record_consent(
                by=user,
                at=now,
                witness_id=witness.pk,
                agreed=form.agreed(),
                form_accession=form.cleaned_data["form_accession"],
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("Consent is recorded. It takes the place of every earlier one."))
            return redirect("witnesses:witness", witness.pk)
    actions.view_witness(by=user, at=now, witness_id=witness.pk)
    context = {"form": form, "witness": witness, "newest": newest}
    return render(request, "witnesses/new_consent.html", context, status=422 if form.is_bound else 200)


@never_cache
@reads_or_posts
def withdraw_consent(request: HttpRequest, consent_id: UUID) -> HttpResponse:
    """Take a consent back: what stops, what has already left, the reason, and the act."""
    user = person(request)
    consents = Consent.objects.select_related("witness__compartment")
    consent = require(user, "consent.withdraw", consents, pk=consent_id)
    witness = consent.witness
    form = ReasonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            actions.withdraw_consent(
                by=user, at=timezone.now(), consent_id=consent.pk, reason=form.cleaned_data["reason"]
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("Consent is withdrawn. From this moment nothing more leaves on its strength."))
            return redirect("witnesses:witness", witness.pk)
    items = recorded_items(witness)
    linked = Recording.objects.filter(testimony__witness=witness, withdrawn_at__isnull=True)
    context = {
        "form": form,
        "consent": consent,
        "witness": witness,
        "testimonies": witness.testimonies.count(),
        "recordings": linked.values("item_id").distinct().count(),
        "gone": departures(user, items),
    }
    return render(request, "witnesses/withdraw_consent.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_safe
def consent_form(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """The form to print and sign, in the language the witness reads (`?language=`), else in one's own."""
    user = person(request)
    witness = require(user, "witness.record_consent", Witness.objects.select_related("compartment"), pk=witness_id)
    languages = dict(settings.LANGUAGES)
    wanted = request.GET.get("language", "")
    language = wanted if wanted in languages else (get_language() or settings.LANGUAGE_CODE)
    with override(language):
        context = {
            "witness": witness,
            "version": FORM_VERSION,
            "purposes": Purpose.choices,
            "recipients": RecipientKind.choices,
            "levels": IdentityLevel.choices,
            "media": Medium.choices,
            "guardians": [(value, label) for value, label in Guardian.choices if value],
            "languages": list(languages),
            "language": language,
        }
        return render(request, "witnesses/consent_form.html", context)
