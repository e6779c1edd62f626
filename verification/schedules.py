"""When items are verified without anybody asking: the archive's plan, and those of single compartments."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from accounts.models import Compartment
from verification.models import Schedule

LONGEST_CYCLE = 365  # days


@dataclass(frozen=True)
class Plan:
    """How a compartment is swept. Hours are those of UTC; equal hours mean all day."""

    compartment: Compartment
    cycle: timedelta
    first_hour: int
    last_hour: int
    schedule: Schedule | None

    @property
    def paused(self) -> bool:
        return self.schedule is not None and self.schedule.paused

    @property
    def all_day(self) -> bool:
        return self.first_hour == self.last_hour

    def open_at(self, at: datetime) -> bool:
        """Whether items of this compartment may be read now: not paused, and within its hours."""
        if self.paused or self.all_day:
            return not self.paused
        since_first = (at.hour - self.first_hour) % 24
        return since_first < (self.last_hour - self.first_hour) % 24


def plans(among: Iterable[Compartment] | None = None) -> dict[UUID, Plan]:
    """{compartment: its plan} of these compartments, or of all."""
    rows = {row.compartment_id: row for row in Schedule.objects.all()}
    first, last = settings.SANAD_SWEEP_HOURS
    usual = timedelta(days=settings.SANAD_SWEEP_CYCLE)
    found = {}
    for compartment in Compartment.objects.order_by("code") if among is None else among:
        row = rows.get(compartment.pk)
        found[compartment.pk] = (
            Plan(compartment, timedelta(days=row.cycle_days), row.first_hour, row.last_hour, row)
            if row
            else Plan(compartment, usual, first, last, None)
        )
    return found
