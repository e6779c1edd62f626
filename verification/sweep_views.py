"""The sweeps: what is due where, what the last week found, and each compartment's schedule."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms import absorb
from accounts.models import Compartment
from accounts.permissions import NotVisible, permitted, require_anywhere, require_compartment
from accounts.requests import person
from verification import actions, reports
from verification.forms import ScheduleForm
from verification.schedules import plans
from verification.sweeps import swept


@require_safe
@never_cache
def sweeps(request: HttpRequest) -> HttpResponse:
    """Every compartment the person verifies: its schedule, what is due, what was found in the last seven days."""
    user = person(request)
    require_anywhere(user, "item.verify")
    rows = swept(user, timezone.now())
    return render(request, "verification/sweeps.html", {"areas": reports.areas(user, "sweeps"), "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
def schedule(request: HttpRequest, code: str) -> HttpResponse:
    """Set a compartment's own schedule, or let it follow the archive's plan again."""
    user = person(request)
    seen = permitted(user, "compartment.view", Compartment.objects.all()).filter(code=code).first()
    if seen is None:
        raise NotVisible
    place = require_compartment(user, "schedule.set", seen.pk)
    plan = plans([place])[place.pk]
    now = {"cycle_days": plan.cycle.days, "first_hour": plan.first_hour, "last_hour": plan.last_hour}
    form = (
        ScheduleForm(request.POST) if request.method == "POST" else ScheduleForm(initial=now | {"paused": plan.paused})
    )
    if request.method == "POST":
        try:
            if "follow" in request.POST:
                reason = request.POST.get("reason", "")
                actions.clear_schedule(by=user, at=timezone.now(), compartment_id=place.pk, reason=reason)
                return redirect("verification:sweeps")
            if form.is_valid():
                actions.set_schedule(by=user, at=timezone.now(), compartment_id=place.pk, fields=form.cleaned_data)
                return redirect("verification:sweeps")
        except ValidationError as error:
            absorb(form, error)
    context = {"form": form, "plan": plan, "compartment": place}
    return render(request, "verification/schedule.html", context, status=422 if form.is_bound else 200)
