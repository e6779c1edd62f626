"""Every route of the archive, with the names of its arguments."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLResolver, get_resolver, reverse

from accounts.models import Compartment, User
from tests.architecture.makers import ARGUMENTS


@dataclass(frozen=True)
class Route:
    """A named URL pattern; `name` carries its namespaces."""

    name: str
    arguments: tuple[str, ...]
    shown: str

    def url(self, compartment: Compartment, person: User) -> str:
        """The address of the route for objects lying in the compartment. Raises LookupError naming a missing maker."""
        values = {}
        for argument in self.arguments:
            make = ARGUMENTS.get(f"{self.name}:{argument}") or ARGUMENTS.get(argument)
            if make is None:
                raise LookupError(f"no maker for the argument {argument} of {self.name} ({self.shown})")
            values[argument] = make(compartment, person)
        return reverse(self.name, kwargs=values)


def routes() -> list[Route]:
    """All routes, one for each name. A pattern without a name is reported under its pattern and has no address."""
    found = {route.name or route.shown: route for route in _walk(get_resolver(), (), "", ())}
    return [found[key] for key in sorted(found)]


def _walk(resolver: URLResolver, namespaces: tuple[str, ...], prefix: str, above: tuple[str, ...]) -> Iterator[Route]:
    for pattern in resolver.url_patterns:
        shown = prefix + str(pattern.pattern)
        arguments = (*above, *(name for name in pattern.pattern.regex.groupindex if name != "format"))
        if isinstance(pattern, URLResolver):
            inner = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from _walk(pattern, inner, shown, arguments)
        elif "format" not in pattern.pattern.regex.groupindex:
            name = ":".join((*namespaces, pattern.name)) if pattern.name else ""
            yield Route(name, arguments, shown)
