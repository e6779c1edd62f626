"""The API's own page (Swagger UI from the installed sidecar), under a policy without unsafe-*."""

from csp.decorators import csp_replace
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularSwaggerSplitView


# Swagger UI writes its own HTML and has no Trusted Types policy: this page alone, which shows no archive data,
# does without them. Scripts and styles still come from this site only.
@method_decorator(csp_replace({"require-trusted-types-for": None, "trusted-types": None}), name="dispatch")
class ApiPage(SpectacularSwaggerSplitView):
    template_name = "archive/api.html"
    title = "API"
