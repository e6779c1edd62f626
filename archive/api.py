"""The API's URLs: each app's `router_entries` (prefix, viewset, basename) and `urlpatterns`; the schema, its page."""

from django.urls import URLPattern, URLResolver, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import SimpleRouter

import accounts.api
import cases.api
import evidence.api
import incidents.api
import verification.api
import witnesses.api
from archive.api_page import api_page

router = SimpleRouter()
urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("", api_page, name="api-page"),
]
for app in (accounts.api, evidence.api, witnesses.api, incidents.api, cases.api, verification.api):
    for prefix, viewset, basename in app.router_entries:
        router.register(prefix, viewset, basename=basename)
    urlpatterns += getattr(app, "urlpatterns", [])
urlpatterns += router.urls
