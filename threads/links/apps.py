from django.apps import AppConfig


class ThreadLinksConfig(AppConfig):
    """Sharing a conversation read-only."""

    name = "threads.links"
    label = "thread_links"

    def ready(self) -> None:
        from threads.links.services import forget_titles
        from threads.redaction import after_untitling

        after_untitling.append(forget_titles)
