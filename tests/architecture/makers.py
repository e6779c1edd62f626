"""What the promises over all rules, actions and routes need from each app: one maker for each of its models, URL
arguments and actions.

An app's makers stand in tests/<app>/makers.py and register themselves with the three decorators below; `load()` finds
them. A rule, route or action without its maker fails the architecture tests by name: nothing is passed over.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from django.db.models import Model

from accounts.models import Compartment, User

F = TypeVar("F", bound=Callable[..., Any])
Instance = Callable[[Compartment, User], Model]
Argument = Callable[[Compartment, User], Any]
Prepared = Callable[[], Any]

INSTANCES: dict[type[Model], Instance] = {}
ARGUMENTS: dict[str, Argument] = {}
ACTIONS: dict[str, Callable[[], Prepared]] = {}


def instance_of(model: type[Model]) -> Callable[[F], F]:
    """Register `make(compartment, person) -> model instance` lying in the compartment; `person` is whose it is, where
    the model belongs to somebody."""

    def add(make: F) -> F:
        INSTANCES[model] = make
        return make

    return add


def url_argument(name: str) -> Callable[[F], F]:
    """Register `make(compartment, person) -> value` for a URL argument, by its name ("item_id") or, where one name
    means several things, by route and name ("grants-detail:pk")."""

    def add(make: F) -> F:
        ARGUMENTS[name] = make
        return make

    return add


def action_of(action: Callable[..., Any], case: str = "") -> Callable[[F], F]:
    """Register `prepare() -> call` for an action: prepare makes what is needed, the call performs the act itself."""

    def add(prepare: F) -> F:
        ACTIONS[f"{action.__module__}.{action.__qualname__}" + (f"[{case}]" if case else "")] = prepare
        return prepare

    return add


def load() -> None:
    """Import every app's makers."""
    for path in sorted(Path(__file__).parent.parent.glob("*/makers.py")):
        importlib.import_module(f"tests.{path.parent.name}.makers")
