"""When an incident's status may change, and what its status forbids."""

from django.utils.translation import gettext as _

from accounts.permissions import NotNow
from incidents.models import Incident
from incidents.vocabulary import Status

#: What may follow what. Everything else is not now.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.OPEN, Status.CLOSED}),
    Status.OPEN: frozenset({Status.UNDER_REVIEW, Status.CLOSED}),
    Status.UNDER_REVIEW: frozenset({Status.OPEN, Status.CLOSED}),
    Status.CLOSED: frozenset({Status.OPEN}),
}


def next_statuses(incident: Incident) -> list[Status]:
    """The statuses that may follow the present one, in the order of the vocabulary."""
    return [status for status in Status if status in TRANSITIONS[Status(incident.status)]]


def require_transition(incident: Incident, status: Status) -> None:
    """Raises NotNow unless the status may follow the incident's present one."""
    if status not in TRANSITIONS[Status(incident.status)]:
        raise NotNow(
            _("An incident that is “%(now)s” cannot become “%(then)s”.")
            % {"now": Status(incident.status).label, "then": status.label}
        )


def require_not_closed(incident: Incident) -> None:
    """Raises NotNow for a closed incident: it is reopened before anything about it changes."""
    if incident.status == Status.CLOSED:
        raise NotNow(_("This incident is closed. Reopen it before you change anything about it."))
