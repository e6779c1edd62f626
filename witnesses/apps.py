from django.apps import AppConfig


class WitnessesConfig(AppConfig):
    name = "witnesses"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from evidence import erasure_parts, guard
        from witnesses import erasing, home, policies  # noqa: F401  registers permissions, panels and the entrance
        from witnesses.vault import require_unnamed

        guard.register(require_unnamed)
        erasure_parts.register(erasing.PART)
