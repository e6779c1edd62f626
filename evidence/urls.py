"""Items by accession number. Each address answers 404 to whoever may not see the item."""

from django.urls import URLPattern, URLResolver, path, register_converter

from evidence import content_views, erasure_views, receipt_views, views


class AccessionConverter:
    """SY-2025-000001: a compartment's code and at least six digits."""

    regex = r"[A-Z][A-Z0-9-]{1,18}[A-Z0-9]-[0-9]{6,12}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(AccessionConverter, "accession")

app_name = "evidence"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.library, name="library"),
    path("describe/", views.describe_selected, name="describe_selected"),
    path("sanad-verify.pyz", receipt_views.verifier, name="verifier"),
    path("erasures/", erasure_views.erasures, name="erasures"),
    path("erasures/<uuid:erasure_id>/", erasure_views.erasure, name="erasure"),
    path("erasures/<uuid:erasure_id>/approve/", erasure_views.approve, name="approve_erasure"),
    path("erasures/<uuid:erasure_id>/refuse/", erasure_views.refuse, name="refuse_erasure"),
    path("erasures/<uuid:erasure_id>/withdraw/", erasure_views.withdraw, name="withdraw_erasure"),
    path("<accession:accession>/", views.item, name="item"),
    path("<accession:accession>/erasure/", erasure_views.request_erasure, name="request_erasure"),
    path("<accession:accession>/describe/", views.describe, name="describe"),
    path("<accession:accession>/place/", views.place_from_device, name="place_from_device"),
    path("<accession:accession>/verify/", views.verify, name="verify"),
    path("<accession:accession>/content/", content_views.content, name="content"),
    path("<accession:accession>/preview/", content_views.preview, name="preview"),
    path("<accession:accession>/text/", content_views.read_text, name="text"),
    path("<accession:accession>/download/", content_views.download, name="download"),
    path("<accession:accession>/receipt/", receipt_views.receipt, name="receipt"),
    path("<accession:accession>/receipt/state/", receipt_views.state, name="receipt_state"),
    path("<accession:accession>/receipt/file/", receipt_views.receipt_file, name="receipt_file"),
    path("<accession:accession>/receipt/words/", receipt_views.receipt_words, name="receipt_words"),
]
