"""When a run may go on: the table of its states."""

from verification.models import Run
from verification.vocabulary import State

UNDER_WAY = (State.QUEUED, State.RUNNING)

#: From a state to those that may follow it.
NEXT: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset({State.FINISHED, State.CANCELLED, State.FAILED}),
    State.FINISHED: frozenset(),
    State.CANCELLED: frozenset(),
    State.FAILED: frozenset(),
}


def may_become(run: Run, state: State) -> bool:
    """Whether the table lets the run go there from where it stands."""
    return state in NEXT[State(run.state)]
