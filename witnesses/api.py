"""`/api/v1/` witnesses, testimonies and consents. No answer names a witness but that of an opening."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ViewSetMixin

from accounts.models import Compartment
from accounts.permissions import permitted, require
from accounts.requests import person
from witnesses import actions
from witnesses.consent import newest_consents, states
from witnesses.identity import checked
from witnesses.models import Consent, Recording, Testimony, Witness
from witnesses.queries import listed_witnesses, recordings_of
from witnesses.serializers import (
    AccessionSerializer,
    AskedSerializer,
    ConsentRowSerializer,
    ConsentSerializer,
    IdentitySerializer,
    MatchSerializer,
    NewConsentSerializer,
    NewTestimonySerializer,
    NewTextSerializer,
    NewWitnessSerializer,
    ReasonSerializer,
    RecordingSerializer,
    RevisedIdentitySerializer,
    RevisionSerializer,
    TestimonyRowSerializer,
    TestimonySerializer,
    TestimonyWriteSerializer,
    WitnessSerializer,
    WitnessWriteSerializer,
)
from witnesses.vocabulary import ConsentState, WitnessKind

UUID_REGEX = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"


class Unkept(GenericViewSet[Any]):
    """Answers about witnesses are stored by no cache on the way."""

    lookup_value_regex = UUID_REGEX

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


class WitnessViewSet(Unkept):
    """Witnesses by pseudonym, and the door of the identity vault."""

    queryset = Witness.objects.none()
    serializer_class = WitnessSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, description="part of a pseudonym"),
            OpenApiParameter("compartment", str, description="code of a compartment"),
            OpenApiParameter("kind", str, enum=WitnessKind.values),
            OpenApiParameter("consent", str, enum=[state.value for state in ConsentState if state != "replaced"]),
        ],
        responses=WitnessSerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        said = request.query_params
        state = said.get("consent", "")
        if state and state not in ConsentState.values:
            raise ValidationError({"consent": "unknown state"})
        found = listed_witnesses(
            request.user,
            timezone.now(),
            query=said.get("q", ""),
            kind=said.get("kind", ""),
            compartment=said.get("compartment", ""),
            state=state,
        )
        page = self.paginate_queryset(found) or []
        return self.get_paginated_response(_shown(request, page))

    @extend_schema(request=NewWitnessSerializer, responses={201: WitnessSerializer})
    def create(self, request: Request) -> Response:
        """Take a witness in. An identity given here goes into the vault and cannot be read back."""
        by, said = person(request), _valid(NewWitnessSerializer(data=request.data))
        place = require(by, "compartment.view", Compartment.objects.all(), code=said.pop("compartment"))
        identity = said.pop("identity", None)
        witness = actions.open_witness(
            by=by,
            at=timezone.now(),
            compartment_id=place.pk,
            identity=_under("identity", identity) if identity is not None else None,
            **said,
        )
        return Response(_shown(request, [witness])[0], status.HTTP_201_CREATED)

    def retrieve(self, request: Request, pk: str) -> Response:
        """One witness. Reading it is a custody event."""
        witness = actions.view_witness(by=person(request), at=timezone.now(), witness_id=UUID(pk))
        return Response(_shown(request, [witness])[0])

    @extend_schema(request=WitnessWriteSerializer, responses=WitnessSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        said = _valid(WitnessWriteSerializer(data=request.data, partial=True))
        by, now = person(request), timezone.now()
        actions.describe_witness(by=by, at=now, witness_id=UUID(pk), changes=said)
        witness = actions.view_witness(by=by, at=now, witness_id=UUID(pk))
        return Response(_shown(request, [witness])[0])

    @extend_schema(request=AskedSerializer, responses=MatchSerializer(many=True))
    @action(detail=False, methods=["post"], url_path="spoken-before", pagination_class=None)
    def spoken_before(self, request: Request) -> Response:
        """Has a person of these names already spoken to us? Asking is a custody event, without the names."""
        by, said = person(request), _valid(AskedSerializer(data=request.data))
        place = require(by, "compartment.view", Compartment.objects.all(), code=said["compartment"])
        found = actions.find_spoken_before(
            by=by,
            at=timezone.now(),
            compartment_id=place.pk,
            asked=said["names"],
            birth_year=said.get("birth_year"),
        )
        return Response(MatchSerializer(found, many=True).data)

    @extend_schema(methods=["POST"], request=IdentitySerializer, responses={204: None})
    @extend_schema(methods=["PUT"], request=RevisedIdentitySerializer, responses={204: None})
    @action(detail=True, methods=["post", "put"])
    def identity(self, request: Request, pk: str) -> Response:
        """Put an identity into the vault (POST, once), or correct it (PUT, protection officers). Answers nothing."""
        by, now = person(request), timezone.now()
        require(by, "identity.record" if request.method == "POST" else "identity.revise", Witness.objects.all(), pk=pk)
        if request.method == "POST":
            said = _valid(IdentitySerializer(data=request.data))
            actions.record_identity(by=by, at=now, witness_id=UUID(pk), identity=checked(said))
        else:
            said = _valid(RevisedIdentitySerializer(data=request.data))
            reason = said.pop("reason")
            actions.revise_identity(by=by, at=now, witness_id=UUID(pk), identity=checked(said), reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=ReasonSerializer, responses=IdentitySerializer)
    @action(detail=True, methods=["post"], url_path="open-identity")
    def open_identity(self, request: Request, pk: str) -> Response:
        """Who the witness is, to a protection officer who says why. The ledger has it before the answer leaves."""
        by = person(request)
        require(by, "identity.open", Witness.objects.all(), pk=pk)
        reason = _valid(ReasonSerializer(data=request.data))["reason"]
        identity = actions.open_identity(by=by, at=timezone.now(), witness_id=UUID(pk), reason=reason)
        return Response(IdentitySerializer(asdict(identity)).data)


class TestimonyViewSet(mixins.ListModelMixin, Unkept):
    """Testimonies, their texts and their recordings."""

    queryset = Testimony.objects.none()
    serializer_class = TestimonyRowSerializer

    def get_queryset(self) -> QuerySet[Testimony]:
        found = permitted(
            self.request.user, "testimony.view", Testimony.objects.select_related("witness", "compartment")
        )
        witness = self.request.query_params.get("witness", "")
        return found.filter(witness_id=_uuid("witness", witness)) if witness else found

    @extend_schema(parameters=[OpenApiParameter("witness", str, description="id of a witness")])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewTestimonySerializer, responses={201: TestimonySerializer})
    def create(self, request: Request) -> Response:
        said = _valid(NewTestimonySerializer(data=request.data))
        testimony = actions.record_testimony(
            by=person(request),
            at=timezone.now(),
            witness_id=said.pop("witness"),
            text=said.pop("text"),
            recordings=said.pop("recordings"),
            particulars=said,
        )
        return Response(TestimonySerializer(testimony).data, status.HTTP_201_CREATED)

    @extend_schema(responses=TestimonySerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One testimony. Reading it is a custody event."""
        return Response(TestimonySerializer(self._read(pk)).data)

    @extend_schema(request=TestimonyWriteSerializer, responses=TestimonySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        said = _valid(TestimonyWriteSerializer(data=request.data, partial=True))
        actions.describe_testimony(by=person(request), at=timezone.now(), testimony_id=UUID(pk), changes=said)
        return Response(TestimonySerializer(self._read(pk)).data)

    @extend_schema(methods=["GET"], responses=RevisionSerializer(many=True))
    @extend_schema(methods=["POST"], request=NewTextSerializer, responses={201: RevisionSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def texts(self, request: Request, pk: str) -> Response:
        """Every revision of the text; reading is a custody event. POST adds one: a correction once it is sealed."""
        by, now = person(request), timezone.now()
        if request.method == "GET":
            return Response(RevisionSerializer(self._read(pk).revisions.select_related("by"), many=True).data)
        testimony = require(by, "testimony.revise", Testimony.objects.all(), pk=pk)
        said = _valid(NewTextSerializer(data=request.data))
        act = actions.correct_testimony if testimony.sealed else actions.revise_testimony
        revision = act(by=by, at=now, testimony_id=UUID(pk), **said)
        return Response(RevisionSerializer(revision).data, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=TestimonySerializer)
    @action(detail=True, methods=["post"])
    def seal(self, request: Request, pk: str) -> Response:
        """Close the testimony to change; corrections stand beside it."""
        actions.seal_testimony(by=person(request), at=timezone.now(), testimony_id=UUID(pk))
        return Response(TestimonySerializer(self._read(pk)).data)

    @extend_schema(methods=["GET"], responses=RecordingSerializer(many=True))
    @extend_schema(methods=["POST"], request=AccessionSerializer, responses={201: RecordingSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def recordings(self, request: Request, pk: str) -> Response:
        """The items that record the testimony; POST links one."""
        by = person(request)
        if request.method == "GET":
            return Response(RecordingSerializer(recordings_of(by, self._seen(pk)), many=True).data)
        require(by, "testimony.link_recording", Testimony.objects.all(), pk=pk)
        said = _valid(AccessionSerializer(data=request.data))
        link = actions.link_recording(by=by, at=timezone.now(), testimony_id=UUID(pk), **said)
        return Response(RecordingSerializer(link).data, status.HTTP_201_CREATED)

    def _read(self, pk: str) -> Testimony:
        """The testimony whose words the answer holds; the event is written before they leave."""
        return actions.read_testimony(by=person(self.request), at=timezone.now(), testimony_id=UUID(pk))

    def _seen(self, pk: str) -> Testimony:
        testimonies = Testimony.objects.select_related("witness", "compartment")
        return require(person(self.request), "testimony.view", testimonies, pk=pk)


class RecordingViewSet(Unkept):
    """Links between items and testimonies."""

    queryset = Recording.objects.none()
    serializer_class = RecordingSerializer

    @extend_schema(request=ReasonSerializer, responses=RecordingSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Withdraw the link; item, testimony and the record of the link stay."""
        by = person(request)
        require(by, "recording.withdraw", Recording.objects.all(), pk=pk)
        reason = _valid(ReasonSerializer(data=request.data))["reason"]
        link = actions.unlink_recording(by=by, at=timezone.now(), recording_id=UUID(pk), reason=reason)
        return Response(RecordingSerializer(link).data)


class ConsentViewSet(Unkept):
    """Consents. The newest of a witness counts, alone."""

    queryset = Consent.objects.none()
    serializer_class = ConsentRowSerializer

    @extend_schema(
        parameters=[OpenApiParameter("witness", str, description="id of a witness")],
        responses=ConsentRowSerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        found = permitted(request.user, "consent.view", Consent.objects.select_related("form_item"))
        witness = request.query_params.get("witness", "")
        page = self.paginate_queryset(found.filter(witness_id=_uuid("witness", witness)) if witness else found) or []
        return self.get_paginated_response(_agreed(page, ConsentRowSerializer))

    @extend_schema(request=NewConsentSerializer, responses={201: ConsentSerializer})
    def create(self, request: Request) -> Response:
        said = _valid(NewConsentSerializer(data=request.data))
        consent = actions.record_consent(
            by=person(request),
            at=timezone.now(),
            witness_id=said.pop("witness"),
            form_accession=said.pop("form_accession"),
            agreed=said,
        )
        return Response(_agreed([consent])[0], status.HTTP_201_CREATED)

    @extend_schema(responses=ConsentSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One consent. Reading it is a custody event of its witness."""
        by = person(request)
        consent = require(by, "consent.view", Consent.objects.select_related("form_item"), pk=pk)
        actions.view_witness(by=by, at=timezone.now(), witness_id=consent.witness_id)
        return Response(_agreed([consent])[0])

    @extend_schema(request=ReasonSerializer, responses=ConsentSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take the consent back, at once."""
        by = person(request)
        require(by, "consent.withdraw", Consent.objects.all(), pk=pk)
        reason = _valid(ReasonSerializer(data=request.data))["reason"]
        consent = actions.withdraw_consent(by=by, at=timezone.now(), consent_id=UUID(pk), reason=reason)
        actions.view_witness(by=by, at=timezone.now(), witness_id=consent.witness_id)
        return Response(_agreed([consent])[0])


def _shown(request: Request, witnesses: list[Witness]) -> list[dict[str, Any]]:
    keys = [witness.pk for witness in witnesses]
    known = permitted(request.user, "witness.view_details", Witness.objects.filter(pk__in=keys))
    context = {"known": set(known.values_list("pk", flat=True)), "states": states(witnesses, timezone.now())}
    return list(WitnessSerializer(witnesses, many=True, context=context).data)


def _agreed(consents: list[Consent], shape: type[ConsentSerializer] = ConsentSerializer) -> list[dict[str, Any]]:
    newest = newest_consents({consent.witness_id for consent in consents}, timezone.now())
    return list(shape(consents, many=True, context={"newest": newest}).data)


def _valid(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _under(name: str, said: dict[str, Any]) -> Any:
    """The identity in a body's part; what is wrong with it is said under that part."""
    try:
        return checked(said)
    except ValidationError as problem:
        raise ValidationError({f"{name}.{field}": errors for field, errors in problem.message_dict.items()}) from None


def _uuid(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValidationError({name: "This is not an id."}) from None


router_entries: list[tuple[str, type[ViewSetMixin], str]] = [
    ("witnesses", WitnessViewSet, "witness"),
    ("testimonies", TestimonyViewSet, "testimony"),
    ("recordings", RecordingViewSet, "recording"),
    ("consents", ConsentViewSet, "consent"),
]
