from django.apps import AppConfig


class WitnessesConfig(AppConfig):
    name = "witnesses"
    default_auto_field = "django.db.models.BigAutoField"
