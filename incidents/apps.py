from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "incidents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from evidence import erasure_parts, staging
        from incidents import erasing, pages, policies, resumable  # noqa: F401  registers the permissions

        pages.register()
        erasure_parts.register(erasing.PART)
        staging.held_by(resumable.still_staged)
