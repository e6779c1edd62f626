"""The door of the identity vault. Its answers alone may hold a name, and are stored by no browser and no cache."""

from dataclasses import asdict
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import absorb
from accounts.permissions import NotNow, require
from accounts.requests import person
from witnesses import actions
from witnesses.forms import IdentityForm, OpenIdentityForm, ReviseIdentityForm, posted
from witnesses.models import Identity, Witness

reads_or_posts = require_http_methods(["GET", "HEAD", "POST"])


@never_cache
@sensitive_variables()
@sensitive_post_parameters()
@reads_or_posts
def open_identity(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """Ask why; then, with the opening in the ledger, show who the witness is. Reloading asks again."""
    user = person(request)
    witness = require(user, "identity.open", Witness.objects.select_related("compartment"), pk=witness_id)
    form = OpenIdentityForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            identity = actions.open_identity(
                by=user, at=timezone.now(), witness_id=witness.pk, reason=form.cleaned_data["reason"]
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            revise = ReviseIdentityForm(initial=asdict(identity))
            context = {"witness": witness, "identity": identity, "form": revise}
            return render(request, "witnesses/identity.html", context)
    context = {"witness": witness, "form": form}
    return render(request, "witnesses/open_identity.html", context, status=422 if form.is_bound else 200)


@never_cache
@sensitive_variables()
@sensitive_post_parameters()
@reads_or_posts
def record_identity(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """Put an identity into the vault, once."""
    user = person(request)
    witness = require(user, "identity.record", Witness.objects.select_related("compartment"), pk=witness_id)
    if Identity.objects.filter(witness=witness).exists():
        raise NotNow(_("The vault holds this witness's identity already. A protection officer can correct it."))
    form = IdentityForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            actions.record_identity(by=user, at=timezone.now(), witness_id=witness.pk, identity=form.identity)
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("The identity is in the vault. It opens for protection officers only."))
            return redirect("witnesses:witness", witness.pk)
    context = {"witness": witness, "form": form}
    return render(request, "witnesses/record_identity.html", context, status=422 if form.is_bound else 200)


@never_cache
@sensitive_variables()
@sensitive_post_parameters()
@require_POST
def revise_identity(request: HttpRequest, witness_id: UUID) -> HttpResponse:
    """Keep a corrected identity; on a mistake the form comes back with what was typed."""
    user = person(request)
    witness = require(user, "identity.revise", Witness.objects.select_related("compartment"), pk=witness_id)
    form = ReviseIdentityForm(request.POST)
    if form.is_valid():
        try:
            actions.revise_identity(
                by=user,
                at=timezone.now(),
                witness_id=witness.pk,
                identity=form.identity,
                reason=form.cleaned_data["reason"],
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            messages.success(request, _("The correction is in the vault; the earlier state stays sealed beside it."))
            return redirect("witnesses:witness", witness.pk)
    context = {"witness": witness, "form": form, "identity": None}
    return render(request, "witnesses/identity.html", context, status=422)
