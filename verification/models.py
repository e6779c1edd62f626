"""Verification runs: many items, and the ledger they stand in, checked one after the other."""

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Compartment
from evidence.models import Item
from evidence.vocabulary import FixityOutcome
from verification.vocabulary import Scope, State


class Run(models.Model):
    """One verification asked for by one person. Its progress is kept with every item: a killed worker loses nothing.

    `cursor` is the key of the last item checked. Items come in the order of their keys, and only those received
    before the run was asked for. `ledger_faults` keeps the first faults found, `ledger_fault_count` counts all.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(_("scope"), max_length=12, choices=Scope.choices)
    compartment = models.ForeignKey(Compartment, models.PROTECT, null=True, blank=True, related_name="+")
    accessions = models.JSONField(default=list, help_text="the items of a selection, by accession number")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.QUEUED)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True, help_text="the kind of error it was given up for")

    ledger_done = models.BigIntegerField(default=0, help_text="entries checked")
    ledger_total = models.BigIntegerField(default=0, help_text="entries in the ledger when its check began")
    ledger_checked_at = models.DateTimeField(null=True)
    ledger_faults = models.JSONField(default=list, help_text="[{where, what}], the first of them")
    ledger_fault_count = models.IntegerField(default=0)

    total = models.BigIntegerField(default=0, help_text="items to check")
    done = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    cursor = models.UUIDField(null=True)

    class Meta:
        ordering = ["-requested_at", "-id"]
        indexes = [
            models.Index(fields=["-requested_at", "-id"], name="run_newest"),
            models.Index(fields=["state"], condition=Q(state__in=["queued", "running"]), name="run_under_way"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.requested_at:%Y-%m-%d %H:%M}"

    @property
    def checks_ledger(self) -> bool:
        return self.scope != Scope.ONE

    @property
    def under_way(self) -> bool:
        return self.state in (State.QUEUED, State.RUNNING)

    @staticmethod
    def found_something() -> Q:
        """The runs that found a fault."""
        return Q(failed__gt=0) | Q(ledger_fault_count__gt=0)

    @property
    def unreached(self) -> int:
        """Items that were there when the run began and could not be checked: gone, or out of the requester's sight."""
        return max(0, self.total - self.done) if self.state == State.FINISHED else 0

    @property
    def is_clean(self) -> bool:
        """Finished, and nothing wrong was found."""
        return self.state == State.FINISHED and not (self.failed or self.ledger_fault_count or self.unreached)


class RunResult(models.Model):
    """What a run found of one item; the fixity check is the same fact in the item's own history."""

    run = models.ForeignKey(Run, models.PROTECT, related_name="results")
    item = models.ForeignKey(Item, models.PROTECT, related_name="+")
    accession = models.CharField(_("accession number"), max_length=30)
    outcome = models.CharField(_("outcome"), max_length=12, choices=FixityOutcome.choices)
    detail = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    check_id = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "item"], name="checked_once_in_a_run")]
        indexes = [models.Index(fields=["run", "outcome", "accession"], name="result_by_outcome")]

    def __str__(self) -> str:
        return f"{self.accession} {self.outcome}"

    @property
    def good(self) -> bool:
        return self.outcome in (FixityOutcome.OK, FixityOutcome.PENDING, FixityOutcome.ERASED)


class Schedule(models.Model):
    """How often, and when, the items of one compartment are verified without anybody asking."""

    compartment = models.OneToOneField(Compartment, models.PROTECT, primary_key=True, related_name="+")
    cycle_days = models.PositiveSmallIntegerField(
        _("every so many days"), validators=[MinValueValidator(1), MaxValueValidator(365)]
    )
    first_hour = models.PositiveSmallIntegerField(_("from (hour, UTC)"), validators=[MaxValueValidator(23)])
    last_hour = models.PositiveSmallIntegerField(
        _("until (hour, UTC)"), validators=[MaxValueValidator(23)], help_text=_("The same hour twice: all day.")
    )
    paused = models.BooleanField(_("paused"), default=False)
    reason = models.CharField(_("reason"), max_length=300, help_text=_("It is kept in the ledger: no name."))
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    set_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.compartment_id} {self.cycle_days}"
