from django.apps import AppConfig


class CasesConfig(AppConfig):
    name = "cases"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from cases import erasing, home, policies  # noqa: F401  registers permissions, panels and the entrance
        from evidence import erasure_parts

        erasure_parts.register(erasing.PART)
