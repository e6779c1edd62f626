"""Every component on one page with fixed, invented values: for whoever works on the interface, and for its tests."""

from datetime import UTC, date, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PICTURE = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 400' width='640' height='400'%3E"
    "%3Crect width='640' height='400' fill='%23a9b8c6'/%3E%3Cpath d='M0 300 180 140l110 90 "
    "130-130 220 200v100H0z' fill='%23545d52'/%3E"
    "%3Ccircle cx='520' cy='90' r='38' fill='%23f3e3ad'/%3E%3C/svg%3E"
)


class SampleForm(forms.Form):
    """One field of each kind."""

    title = forms.CharField(label="Title", help_text="Say what is seen, not what it proves. No names of witnesses.")
    happened = forms.CharField(label="When it happened", help_text="2025-03-07, 2025-03, or 2025-03-07/2025-03-09.")
    kind = forms.ChoiceField(
        label="Kind", choices=[("photo", "Photograph"), ("video", "Video"), ("document", "Document")]
    )
    narrative = forms.CharField(label="Narrative", widget=forms.Textarea, required=False)
    stance = forms.ChoiceField(
        label="What it says about the incident",
        widget=forms.RadioSelect,
        choices=[("supports", "Supports"), ("contradicts", "Contradicts"), ("context", "Context")],
        help_text="Exculpatory material is welcome: it is kept and shown as such.",
    )
    graphic = forms.BooleanField(label="Graphic content", required=False, help_text="It is then veiled for everyone.")
    scan = forms.FileField(label="Signed consent form", required=False)


def _lines() -> list[dict[str, Any]]:
    def line(hour: int, label: str, agent: str, **more: Any) -> dict[str, Any]:
        at = datetime(2025, 3, 11, hour, 4, 9, tzinfo=UTC)
        return {"at": at, "label": label, "agent": agent, "outcome": "success", "recorded": True} | more

    return [
        line(
            8,
            "Received",
            "Investigator 1",
            index=1041,
            details=[("Size", "2.41 MB"), ("Purpose", "incident SY-2025/07")],
        ),
        line(9, "Described", "Archivist 1", index=1066, text="Place changed from “Baniyas” to “Baniyas, al-Qusour”."),
        line(10, "Download", "Auditor 1", index=1090, outcome="refused", text="An auditor does not see content."),
        line(11, "Fixity check", "Auditor 1", index=1102, recorded=False),
        line(12, "Viewed", "Legal reviewer 1", index=None, recorded=False),
    ]


def _entries() -> list[dict[str, Any]]:
    return [
        {
            "label": "SY-2025-000014",
            "url": "#",
            "edtf": "2025-03-07",
            "earliest": date(2025, 3, 7),
            "latest": date(2025, 3, 7),
            "note": "photograph",
        },
        {
            "label": "SY-2025-000015",
            "url": "#",
            "edtf": "2025-03-07/2025-03-09",
            "earliest": date(2025, 3, 7),
            "latest": date(2025, 3, 9),
            "note": "video",
        },
        {
            "label": "SY-2025-000021",
            "url": "#",
            "edtf": "2025-03~",
            "earliest": date(2025, 3, 1),
            "latest": date(2025, 3, 31),
            "note": "document",
        },
        {
            "label": "SY-2025-000022",
            "url": "#",
            "edtf": "2025-03-08T14:20:00Z",
            "earliest": datetime(2025, 3, 8, 14, 20, tzinfo=UTC),
            "latest": datetime(2025, 3, 8, 14, 20, tzinfo=UTC),
            "note": "",
        },
        {"label": "SY-2025-000030", "url": "#", "edtf": "", "earliest": None, "latest": None, "note": "recording"},
    ]


def _claims() -> list[dict[str, Any]]:
    return [
        {
            "source": "Organisation A",
            "scope": "civilians, four governorates",
            "minimum": 410,
            "maximum": 410,
            "as_of": "2025-03-12",
            "url": "#",
        },
        {
            "source": "Commission B",
            "scope": "dead with verified names",
            "minimum": 388,
            "maximum": 455,
            "as_of": "2025-07-22",
            "url": "",
        },
        {
            "source": "Commission C",
            "scope": "all of the coast",
            "minimum": 95,
            "maximum": None,
            "as_of": "2025-08~",
            "url": "",
        },
        {"source": "Report D", "scope": "one town", "minimum": None, "maximum": None, "as_of": "2025-03", "url": ""},
    ]


def _points() -> list[dict[str, Any]]:
    return [
        {"latitude": 35.182, "longitude": 35.9404, "radius": 1000, "label": "Baniyas", "url": "#map"},
        {"latitude": 35.3614, "longitude": 35.9276, "radius": 100, "label": "Jableh", "url": ""},
        {"latitude": 35.53, "longitude": 35.95, "radius": 12000, "label": "Latakia countryside", "url": ""},
    ]


def gallery(request: HttpRequest) -> HttpResponse:
    """The page. `?form=empty` shows the form before anything was sent; `?messages` adds one message of each level."""
    form = (
        SampleForm()
        if request.GET.get("form") == "empty"
        else SampleForm({"narrative": "What was written stays.", "happened": "last week"})
    )
    if form.is_bound:
        form.add_error(
            "happened", "This is no date we can read. Write 2025-03-07, or 2025-03 when the day is not known."
        )
    if "messages" in request.GET:
        messages.success(request, "Saved.")
        messages.warning(request, "The place has no precision yet.")
        messages.error(request, "Not saved. What you wrote is still here.")
    return render(
        request,
        "components/gallery.html",
        {
            "form": form,
            "sha256": SHA256,
            "picture": PICTURE,
            "lines": _lines(),
            "entries": _entries(),
            "claims": _claims(),
            "points": _points(),
            "trail": [("Incidents", "#"), ("SY-2025/07", "#")],
            "tabs": [
                {"label": "Items", "url": "#", "active": True, "count": 41},
                {"label": "Claims", "url": "#", "active": False, "count": 4},
                {"label": "Custody", "url": "#", "active": False, "count": None},
            ],
            "columns": ["Accession", "Kind", "Size", "State"],
            "rows": [
                ["SY-2025-000014", "Photograph", "2.41 MB", "verified today"],
                ["SY-2025-000015", "Video", "1.2 GB", "never verified"],
            ],
            "groups": [
                {
                    "label": "Kind",
                    "options": [
                        {"label": "Photograph", "url": "#", "count": 1204, "active": True},
                        {"label": "Video", "url": "#", "count": 88, "active": False},
                    ],
                },
                {"label": "Stance", "options": [{"label": "Exculpatory", "url": "#", "count": 3, "active": False}]},
            ],
            "search": {"name": "q", "value": "", "label": "Search items", "hidden": []},
            "badges": [
                {"label": "Sealed", "tone": "ok", "icon": "seal"},
                {"label": "Graphic", "tone": "warn", "icon": "eye-off"},
            ],
            "facts": [("Place", "Baniyas", "within 1 km"), ("Language", "Arabic"), ("Tool", "")],
            "moment": datetime(2025, 3, 7, 14, 2, 33, tzinfo=UTC),
            "dates": [
                "2025-03-07",
                "2025-03-07~",
                "2025-03?",
                "2025-03-XX",
                "202X",
                "2025-03-07/2025-03-09",
                "../2025-03-10",
                "2025-21",
                "[2025-03-07,2025-03-09]",
            ],
        },
    )


def gallery_progress(request: HttpRequest) -> JsonResponse:
    """What progress polling reads on the gallery: a work at a standstill."""
    return JsonResponse({"state": "running", "done": 37, "total": 120, "message": "Reading item 37"})
