"""The API's own page: every operation of the OpenAPI document, in words, without a script."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator


@dataclass(frozen=True)
class Value:
    """A parameter, or a member of a body: where it stands ("path", "query", "body"), and what it may be."""

    name: str
    place: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    id: str
    method: str
    path: str
    description: str
    values: tuple[Value, ...]
    answers: tuple[tuple[str, str], ...]  # status and media type


@require_safe
def api_page(request: HttpRequest) -> HttpResponse:
    """The reference of the API."""
    return render(request, "archive/api.html", {"groups": reference()})


@cache
def reference() -> list[tuple[str, list[Operation]]]:
    """Every operation, in groups by what it is about, both in the order of their names."""
    schema: Mapping[str, Any] = SchemaGenerator().get_schema(None, True)  # type: ignore[no-untyped-call]
    groups: defaultdict[str, list[Operation]] = defaultdict(list)
    for path, methods in schema["paths"].items():
        for method, said in methods.items():
            groups[said["tags"][0]].append(_operation(schema, method, path, said))
    return sorted(groups.items())


def _operation(schema: Mapping[str, Any], method: str, path: str, said: Mapping[str, Any]) -> Operation:
    values = [
        Value(
            one["name"], one["in"], _type(schema, one["schema"]), one.get("required", False), one.get("description", "")
        )
        for one in said.get("parameters", [])
    ]
    for media_type, body in said.get("requestBody", {}).get("content", {}).items():
        values += _members(schema, media_type, body["schema"])
    answers = tuple(
        (status, ", ".join(answer.get("content", {}))) for status, answer in sorted(said["responses"].items())
    )
    return Operation(said["operationId"], method.upper(), path, said.get("description", ""), tuple(values), answers)


def _members(schema: Mapping[str, Any], media_type: str, body: Mapping[str, Any]) -> Iterator[Value]:
    body = _resolved(schema, body)
    if "properties" not in body:
        yield Value(media_type, "body", _type(schema, body), True, body.get("description", ""))
    for name, one in body.get("properties", {}).items():
        required = name in body.get("required", ())
        yield Value(name, "body", _type(schema, one), required, one.get("description", ""))


def _type(schema: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    one = _resolved(schema, one)
    parts = [_type(schema, part) for word in ("oneOf", "anyOf", "allOf") for part in one.get(word, ())]
    if parts:
        return " | ".join(dict.fromkeys(part for part in parts if part))
    if one.get("enum"):
        return " | ".join(str(value) if value is not None else "null" for value in one["enum"] if value != "")
    if one.get("type") == "array":
        return f"[{_type(schema, one['items'])}]"
    limit = f", at most {one['maxLength']}" if "maxLength" in one else ""
    return f"{one.get('format') or one.get('type', 'any')}{limit}"


def _resolved(schema: Mapping[str, Any], one: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in one:
        one = schema["components"]["schemas"][one["$ref"].rpartition("/")[2]]
    return one
