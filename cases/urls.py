from django.urls import path

from cases import bundle_views, views

app_name = "cases"
urlpatterns = [
    path("", views.case_list, name="list"),
    path("new/", views.new_case, name="new"),
    path("<uuid:case_id>/", views.case, name="case"),
    path("<uuid:case_id>/edit/", views.edit_case, name="edit"),
    path("<uuid:case_id>/status/", views.set_status, name="status"),
    path("<uuid:case_id>/exhibits/new/", views.new_exhibit, name="new_exhibit"),
    path("exhibits/<uuid:exhibit_id>/", views.exhibit, name="exhibit"),
    path("exhibits/<uuid:exhibit_id>/edit/", views.edit_exhibit, name="edit_exhibit"),
    path("exhibits/<uuid:exhibit_id>/withdraw/", views.withdraw_exhibit, name="withdraw_exhibit"),
    path("<uuid:case_id>/bundles/", bundle_views.request_bundle, name="request_bundle"),
    path("bundles/<uuid:bundle_id>/", bundle_views.bundle, name="bundle"),
    path("bundles/<uuid:bundle_id>/progress/", bundle_views.progress, name="bundle_progress"),
    path("bundles/<uuid:bundle_id>/cancel/", bundle_views.cancel, name="cancel_bundle"),
    path("bundles/<uuid:bundle_id>/download/", bundle_views.download, name="download_bundle"),
]
