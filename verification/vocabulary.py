"""Closed lists of the verification app."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """What a run checks. Every scope but `one` begins with the whole ledger."""

    ONE = "one", _("One item")
    SELECTION = "selection", _("A selection of items")
    COMPARTMENT = "compartment", _("A compartment")
    EVERYTHING = "everything", _("Everything I may verify")
    LEDGER = "ledger", _("The ledger alone")


class State(models.TextChoices):
    """Where a run stands."""

    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Running")
    FINISHED = "finished", _("Finished")
    CANCELLED = "cancelled", _("Cancelled")
    FAILED = "failed", _("Stopped by a problem")


class Figure(models.TextChoices):
    """A figure of the coverage, and the list of items behind it."""

    ALL = "all", _("All items")
    WEEK = "7", _("Verified in the last 7 days")
    MONTH = "30", _("Verified in the last 30 days")
    QUARTER = "90", _("Verified in the last 90 days")
    OLDER = "older", _("Last verified more than 90 days ago")
    NEVER = "never", _("Never verified")
    FAILED = "failed", _("Failed their last check")
    PENDING = "pending", _("Waiting for a signed checkpoint")
