"""The entrance: signing in, invitations, the dashboard, one's own profile and tokens."""

from math import ceil
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import check_for_language, override
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions, attempts, once
from accounts.forms import OwnPasswordForm, PasswordForm, ProfileForm, SignInForm, TokenForm, absorb
from accounts.models import ApiToken, Grant, Role, User
from accounts.panels import panels
from accounts.permissions import NotNow, permitted, require
from accounts.queries import invitation_of
from accounts.requests import person

INVITATION_COOKIE = "invitation"
INVITATION_COOKIE_LIFE = 3600  # seconds to choose a password in
SHOWN_ONCE = "new-token"


class SignIn(LoginView):
    """Signing in. One message for every wrong pair: nobody learns whether a user name exists."""

    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        return _remember_language(response, form.get_user().language)


sign_in = login_not_required(never_cache(SignIn.as_view()))


class SignOut(LogoutView):
    """Signing out. The browser forgets what pages kept in it: names of files that were being uploaded."""

    next_page = "accounts:login"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().post(request, *args, **kwargs)
        response["Clear-Site-Data"] = '"storage"'
        return response


sign_out = login_not_required(SignOut.as_view())


def locked_out(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answers too many wrong passwords: 429, saying how long, the same whether or not the user name exists."""
    wait = attempts.wait(request, getattr(request, "axes_credentials", None))
    minutes = max(1, ceil(wait.total_seconds() / 60))
    response = render(request, "accounts/locked_out.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(minutes * 60)
    return response


@login_not_required
@require_safe
def open_invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Takes the secret out of the address at once, whatever it is: the page that follows has nothing to leak."""
    response = redirect("accounts:invitation")
    return once.hand_over(
        response, INVITATION_COOKIE, secret, path=reverse("accounts:invitation"), life=INVITATION_COOKIE_LIFE
    )


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest) -> HttpResponse:
    """Choose a first password with a one-time link; 409 with what to do when the link no longer works."""
    secret = once.handed_over(request, INVITATION_COOKIE)
    found = invitation_of(secret)
    if found is None:
        raise NotNow(_("This invitation was used or has expired. Ask an administrator for a new one."))
    with override(found.user.language):
        form = PasswordForm(request.POST or None, user=found.user)
        if request.method == "POST" and form.is_valid():
            user = actions.accept_invitation(secret=secret, password=form.cleaned_data["password"], at=timezone.now())
            messages.success(request, _("Your password is set. Sign in with it."))
            response = redirect("accounts:login")
            _remember_language(response, user.language)
            return once.forget(response, INVITATION_COOKIE, path=reverse("accounts:invitation"))
        status = 422 if form.is_bound else 200
        return render(request, "accounts/invitation.html", {"form": form, "invited": found.user}, status=status)


@login_not_required
@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Choose the language to read in; kept with the person, and in a cookie for the sign-in page."""
    language = request.POST.get("language", "")
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = "/"
    response = HttpResponseRedirect(target)
    if language in dict(settings.LANGUAGES) and check_for_language(language):
        if isinstance(request.user, User):
            actions.set_language(by=request.user, language=language)
        _remember_language(response, language)
    return response


def _remember_language(response: HttpResponse, language: str) -> HttpResponse:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=365 * 24 * 3600,
        path=settings.LANGUAGE_COOKIE_PATH,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
    return response


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The dashboard: who one is here, and what needs one now. Every app adds its cards through the "home" slot."""
    user = person(request)
    held = list(Grant.objects.in_force().filter(user=user).select_related("compartment"))
    context = {"roles": _by_role(held), "panels": panels("home", user, None, request)}
    return render(request, "accounts/home.html", context)


def _by_role(held: list[Grant]) -> list[dict[str, Any]]:
    """[{role, compartments}] in the order of the vocabulary; no compartments means the whole archive."""
    result = []
    for role in Role:
        grants = [grant for grant in held if grant.role == role]
        if grants:
            everywhere = any(grant.compartment_id is None for grant in grants)
            places = [] if everywhere else [grant.compartment for grant in grants]
            result.append({"role": role, "compartments": places})
    return result


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """One's own name and language, roles, and the ways to password and tokens."""
    user = person(request)
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if request.method == "POST" and form.is_valid():
        try:
            actions.rename_self(by=user, at=timezone.now(), display_name=form.cleaned_data["display_name"])
            actions.set_language(by=user, language=form.cleaned_data["language"])
        except ValidationError as error:
            absorb(form, error)
        else:
            with override(user.language):
                messages.success(request, _("Your profile is saved."))
            return _remember_language(redirect("accounts:profile"), user.language)
    held = Grant.objects.in_force().filter(user=user).select_related("compartment")
    context = {"form": form, "grants": held, "username": user.username}
    return render(request, "accounts/profile.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; every other session of the person ends."""
    user = person(request)
    form = OwnPasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        actions.change_own_password(by=user, at=timezone.now(), password=form.cleaned_data["password"])
        update_session_auth_hash(request, user)
        messages.success(
            request,
            _("Your password is changed. Everywhere else you are signed out, and your API tokens no longer work."),
        )
        return redirect("accounts:profile")
    return render(request, "accounts/password.html", {"form": form}, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """One's API tokens, and a form for a new one. A new secret is shown on the next page, once."""
    user = person(request)
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _token, secret = actions.issue_token(
                by=user,
                at=timezone.now(),
                purpose=form.cleaned_data["purpose"],
                read_only=not form.cleaned_data["writes"],
                life=form.life,
            )
        except ValidationError as error:
            absorb(form, error)
        else:
            response = redirect("accounts:tokens")
            return once.hand_over(response, SHOWN_ONCE, secret, path=reverse("accounts:tokens"))
    own = permitted(user, "token.view", ApiToken.objects.all())
    secret = once.handed_over(request, SHOWN_ONCE)
    context = {"form": form, "tokens": own, "secret": secret, "now": timezone.now()}
    page = render(request, "accounts/tokens.html", context, status=422 if form.is_bound else 200)
    return once.forget(page, SHOWN_ONCE, path=reverse("accounts:tokens")) if secret else page


@require_POST
def revoke_token(request: HttpRequest, token_id: UUID) -> HttpResponse:
    user = person(request)
    require(user, "token.revoke", ApiToken.objects.all(), pk=token_id)
    actions.revoke_token(by=user, at=timezone.now(), token_id=token_id)
    messages.success(request, _("The token no longer works."))
    return redirect("accounts:tokens")
