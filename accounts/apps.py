from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import home, navigation, panels, policies, receivers  # noqa: F401  registers the permissions and the sign-in records

        navigation.register(navigation.NavItem(_("Home"), "accounts:home", None, order=0, icon="home", key="h"))
        navigation.register(
            navigation.NavItem(
                _("Compartments"), "accounts:compartments", "compartment.view", order=80, icon="lock", key="m"
            )
        )
        navigation.register(
            navigation.NavItem(_("People"), "accounts:people", "user.view", order=90, icon="people", key="p")
        )
        for card in home.CARDS:
            panels.register("home", card)
