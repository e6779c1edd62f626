from django.urls import path

import evidence.urls  # noqa: F401  registers the converter "accession"
from incidents import list_views, table_views, upload_views, views

app_name = "incidents"
urlpatterns = [
    path("", list_views.incident_list, name="list"),
    path("new/", views.open_incident, name="new"),
    path("<uuid:incident_id>/", views.incident_page, name="incident"),
    path("<uuid:incident_id>/edit/", views.edit_incident, name="edit"),
    path("<uuid:incident_id>/status/", views.change_status, name="change_status"),
    path("<uuid:incident_id>/claims/new/", views.record_claim, name="record_claim"),
    path("<uuid:incident_id>/upload/", upload_views.upload, name="upload"),
    path("<uuid:incident_id>/upload/<uuid:intake_id>/", upload_views.upload_files, name="upload_files"),
    path("<uuid:incident_id>/table/", table_views.describe_by_table, name="table"),
    path("claims/<uuid:claim_id>/withdraw/", views.withdraw_claim, name="withdraw_claim"),
    path("links/new/<accession:accession>/", views.link_item, name="link_item"),
    path("links/<uuid:link_id>/", views.change_link, name="change_link"),
    path("links/<uuid:link_id>/withdraw/", views.withdraw_link, name="withdraw_link"),
]
