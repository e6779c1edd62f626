from rest_framework.viewsets import ViewSetMixin

router_entries: list[tuple[str, type[ViewSetMixin], str]] = []
