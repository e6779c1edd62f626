"""The audit desk's entrance in the main navigation."""

from django.utils.translation import gettext_lazy as _

from accounts.navigation import NavItem, register

register(NavItem(_("Audit"), "verification:desk", "item.verify", order=60, icon="audit", key="a"))
