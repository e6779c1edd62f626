"""The library's entrance in the main navigation."""

from django.utils.translation import gettext_lazy as _

from accounts.navigation import NavItem, register

register(NavItem(_("Library"), "evidence:library", "item.view_content", order=20, icon="library", key="l"))
