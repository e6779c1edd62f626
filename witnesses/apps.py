from django.apps import AppConfig


class WitnessesConfig(AppConfig):
    name = "witnesses"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from witnesses import policies  # noqa: F401  registers the permissions
