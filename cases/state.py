"""When an act on a case file or a bundle is possible."""

from django.utils.translation import gettext as _

from accounts.permissions import NotNow
from cases.models import Bundle, CaseFile, Exhibit
from cases.vocabulary import ExportState, Status

EXPORT_STEPS = {
    ExportState.WAITING: (ExportState.BUILDING, ExportState.CANCELLED, ExportState.FAILED),
    ExportState.BUILDING: (ExportState.BUILDING, ExportState.READY, ExportState.FAILED, ExportState.CANCELLED),
    ExportState.READY: (),
    ExportState.FAILED: (),
    ExportState.CANCELLED: (),
    ExportState.DESTROYED: (),
}


def must_be_open(case_file: CaseFile) -> None:
    """Raises NotNow: a closed case file is kept as it is."""
    if case_file.status != Status.OPEN:
        raise NotNow(_("This case file is closed. Open it again before you change it."))


def must_be_tendered(exhibit: Exhibit) -> None:
    """Raises NotNow: a withdrawn exhibit keeps its number and changes no more."""
    if exhibit.withdrawn_at is not None:
        raise NotNow(_("This exhibit was withdrawn."))


def step(bundle: Bundle, to: ExportState) -> None:
    """Move a bundle on. Raises NotNow for a step the table does not have."""
    if to not in EXPORT_STEPS[ExportState(bundle.state)]:
        raise NotNow(_("The bundle is %(state)s.") % {"state": bundle.get_state_display()})
    bundle.state = to
