from django.urls import path, register_converter
from django.urls.converters import StringConverter

from verification import outside_views, sweep_views, trail_views, views


class AccessionConverter(StringConverter):
    """An accession number: SY-2025-000001."""

    regex = "[A-Z0-9-]{1,30}"


register_converter(AccessionConverter, "audited")

app_name = "verification"
urlpatterns = [
    path("", views.desk, name="desk"),
    path("verify/", views.verify_one, name="verify_one"),
    path("coverage/", views.items, name="items"),
    path("runs/", views.runs, name="runs"),
    path("runs/<uuid:run_id>/", views.run, name="run"),
    path("runs/<uuid:run_id>/progress/", views.run_progress, name="run_progress"),
    path("runs/<uuid:run_id>/cancel/", views.cancel_run, name="cancel_run"),
    path("runs/<uuid:run_id>/results.csv", views.run_csv, name="run_csv"),
    path("runs/<uuid:run_id>/print/", views.run_print, name="run_print"),
    path("sweeps/", sweep_views.sweeps, name="sweeps"),
    path("sweeps/<audited:code>/", sweep_views.schedule, name="schedule"),
    path("items/<audited:accession>/", views.item, name="item"),
    path("items/<audited:accession>/trail/", trail_views.item_trail, name="item_trail"),
    path("items/<audited:accession>/trail.csv", trail_views.item_trail_csv, name="item_trail_csv"),
    path("items/<audited:accession>/trail/print/", trail_views.item_trail_print, name="item_trail_print"),
    path("people/<uuid:user_id>/trail/", trail_views.person_trail, name="person_trail"),
    path("people/<uuid:user_id>/trail.csv", trail_views.person_trail_csv, name="person_trail_csv"),
    path("people/<uuid:user_id>/trail/print/", trail_views.person_trail_print, name="person_trail_print"),
    path("trail/", trail_views.trail, name="trail"),
    path("trail.csv", trail_views.trail_csv, name="trail_csv"),
    path("trail/print/", trail_views.trail_print, name="trail_print"),
    path("checkpoints/", trail_views.checkpoints, name="checkpoints"),
    path("checkpoints/<int:checkpoint_id>/note/", trail_views.checkpoint_note, name="checkpoint_note"),
    path("anchors/<int:anchor_id>/timestamp/", outside_views.anchor, name="anchor"),
    path("guides/<slug:name>/", outside_views.guide, name="guide"),
    path("key/", trail_views.key, name="key"),
    path("entries/<int:index>/", trail_views.entry, name="entry"),
    path("entries/<int:index>/bytes/", trail_views.entry_bytes, name="entry_bytes"),
    path("entries/<int:index>/proof/", trail_views.entry_proof, name="entry_proof"),
]
