"""`{% panel part %}`: one part of a page that another app filled (accounts.panels)."""

from typing import Any

from django import template
from django.utils.safestring import SafeString

from accounts.panels import Panel

register = template.Library()


@register.simple_tag(takes_context=True, name="panel")
def render_panel(context: template.Context, part: Panel, **more: Any) -> SafeString:
    """The panel's own template with its own context, and of the page only the request, the user and the form token."""
    assert context.template is not None
    shared = {name: context[name] for name in ("request", "user", "csrf_token", "perms") if name in context}
    found = context.template.engine.get_template(part.template)
    return found.render(context.new({**shared, "title": part.title, **part.context, **more}))
