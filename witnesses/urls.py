from django.urls import URLPattern, URLResolver, path

from witnesses import consent_views, testimony_views, vault_views, views

app_name = "witnesses"
urlpatterns: list[URLPattern | URLResolver] = [
    path("witnesses/", views.witness_list, name="list"),
    path("witnesses/new/", views.new_witness, name="new"),
    path("witnesses/<uuid:witness_id>/", views.witness_page, name="witness"),
    path("witnesses/<uuid:witness_id>/describe/", views.describe_witness, name="describe"),
    path("witnesses/<uuid:witness_id>/identity/", vault_views.record_identity, name="record_identity"),
    path("witnesses/<uuid:witness_id>/identity/open/", vault_views.open_identity, name="open_identity"),
    path("witnesses/<uuid:witness_id>/identity/revise/", vault_views.revise_identity, name="revise_identity"),
    path("witnesses/<uuid:witness_id>/testimonies/new/", testimony_views.new_testimony, name="new_testimony"),
    path("witnesses/<uuid:witness_id>/consents/new/", consent_views.new_consent, name="new_consent"),
    path("witnesses/<uuid:witness_id>/consents/form/", consent_views.consent_form, name="consent_form"),
    path("consents/<uuid:consent_id>/withdraw/", consent_views.withdraw_consent, name="withdraw_consent"),
    path("testimonies/<uuid:testimony_id>/", testimony_views.testimony_page, name="testimony"),
    path("testimonies/<uuid:testimony_id>/describe/", testimony_views.describe_testimony, name="describe_testimony"),
    path("testimonies/<uuid:testimony_id>/text/", testimony_views.text, name="text"),
    path("testimonies/<uuid:testimony_id>/seal/", testimony_views.seal_testimony, name="seal_testimony"),
    path("testimonies/<uuid:testimony_id>/recordings/", testimony_views.link_recording, name="link_recording"),
    path("recordings/<uuid:recording_id>/withdraw/", testimony_views.unlink_recording, name="unlink_recording"),
]
