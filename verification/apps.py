from django.apps import AppConfig


class VerificationConfig(AppConfig):
    name = "verification"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from verification import policies  # noqa: F401, I001  its permissions come before what asks for them
        from verification import home, navigation  # noqa: F401  registers the entrance and the panels
