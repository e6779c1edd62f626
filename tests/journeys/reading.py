"""Finding every page a person can reach, and what axe-core says of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import Page

from tests.journeys.running import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_SHAPES = ("view", "show", "shown", "as")  # query words that make another page of the same address
#: Addresses that answer with bytes for a viewer, a program or a printer's table, not with a page.
NO_PAGES = frozenset(
    {
        "evidence:content",
        "evidence:preview",
        "evidence:receipt_file",
        "evidence:receipt_state",
        "evidence:receipt_words",
        "evidence:verifier",
        "verification:run_csv",
        "verification:run_progress",
        "verification:item_trail_csv",
        "verification:person_trail_csv",
        "verification:trail_csv",
        "verification:checkpoint_note",
        "verification:anchor",
        "verification:guide",
        "verification:key",
        "verification:entry_bytes",
        "verification:entry_proof",
        "cases:bundle_progress",
        "health",
        "metrics",
        "api-schema",
    }
)
#: Addresses that take a form and answer with another page.
ACTS = frozenset(
    {
        "accounts:logout",
        "accounts:revoke_token",
        "accounts:renew_invitation",
        "evidence:describe_selected",
        "evidence:place_from_device",
        "evidence:verify",
        "evidence:download",
        "evidence:approve_erasure",
        "evidence:refuse_erasure",
        "evidence:withdraw_erasure",
        "incidents:withdraw_claim",
        "witnesses:seal_testimony",
        "witnesses:link_recording",
        "witnesses:revise_identity",
        "cases:status",
        "cases:withdraw_exhibit",
        "cases:request_bundle",
        "cases:cancel_bundle",
        "cases:download_bundle",
        "verification:verify_one",
        "verification:cancel_run",
        "set_language",
    }
)


@dataclass(frozen=True)
class Route:
    """A page as such, whatever it is about: the name of its address and how it is shown."""

    name: str
    shape: tuple[str, ...] = ()


def route_of(url: str) -> Route | None:
    """The route of an address of ours; None when it is no page."""
    parts = urlsplit(url)
    try:
        name = resolve(parts.path).view_name
    except Resolver404:
        return None
    if name in NO_PAGES or (":" not in name and name != "api-page"):
        return None
    query = parse_qs(parts.query)
    return Route(name, tuple(f"{word}={query[word][0]}" for word in _SHAPES if word in query))


def pages() -> set[str]:
    """The names of all addresses that answer a GET with a page."""
    return {name for name in _names(get_resolver()) if ":" in name or name == "api-page"} - NO_PAGES - ACTS


def _names(resolver: URLResolver, space: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield f"{space}:{pattern.name}" if space else str(pattern.name)
        else:
            yield from _names(pattern, pattern.namespace or space)


def links(page: Page) -> list[str]:
    """The addresses of our own that the page links to, without those that download."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("main a[href]:not([download]), header a[href]")]
            .map((link) => link.href.split("#")[0])
            .filter((url) => url.startsWith(location.origin))"""
    )
    return found


def reachable(page: Page, also: Iterable[str] = ()) -> Iterator[Route]:
    """Walks from page to page, beginning where `page` is; each route is visited once, and `page` stands on it.

    The addresses in `also` are walked to as well, and their links: pages of a kind differ in what they lead to.
    """
    waiting = [page.url]
    for path in also:
        page.goto(path)
        waiting += [page.url, *links(page)]
    seen: set[Route] = set()
    while waiting:
        url = waiting.pop(0)
        route = route_of(url)
        if route is None or route in seen:
            continue
        seen.add(route)
        answer = page.goto(url)
        assert answer is not None
        assert answer.ok, f"{url} is linked and answers {answer.status}"
        yield route
        waiting += links(page)


def show(page: Page, *, width: int, dark: bool) -> None:
    """The page as it is on another screen, without loading it again."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
    page.wait_for_function(
        "([dark, width]) => matchMedia('(prefers-color-scheme: dark)').matches === dark && innerWidth === width",
        arg=[dark, width],
    )


def too_wide(page: Page) -> list[str]:
    """What makes the page wider than the screen."""
    found: list[str] = page.evaluate(
        """() => {
            const root = document.documentElement;
            if (root.scrollWidth <= root.clientWidth) return [];
            const wide = [...document.querySelectorAll("body *")].filter((element) => {
                const box = element.getBoundingClientRect();
                return box.width && (box.right > root.clientWidth + 1 || box.left < -1);
            });
            return [`${root.scrollWidth} px`, ...wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120))];
        }"""
    )
    return found


def complaints(page: Page) -> list[str]:
    """What axe-core finds wrong, one line a rule."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    violations: list[dict[str, Any]] = page.evaluate(
        """async (rules) => (await axe.run(document, {
            runOnly: rules, resultTypes: ["violations"], preload: false, iframes: false,
        })).violations""",
        RULES,
    )
    return [
        f"{violation['id']} ({violation['help']}): "
        + " | ".join(f"{node['html'][:160]} [{_why(node)}]" for node in violation["nodes"][:3])
        for violation in violations
    ]


def _why(node: dict[str, Any]) -> str:
    return " ".join(str(node.get("failureSummary", "")).split())[:200]
