from django.apps import AppConfig


class ThreadExportsConfig(AppConfig):
    """Conversations that are written to a file in the background."""

    name = "threads.exports"
    label = "thread_exports"

    def ready(self) -> None:
        from assistants.knowledge.services import expiry
        from threads.exports import services
        from threads.exports.models import Export
        from threads.keeping import before_trashing
        from threads.redaction import after_untitling, before_redaction
        from threads.services import before_deletion

        expiry.owners.append(Export)
        before_redaction.append(services.forget_exports_with)
        after_untitling.append(services.forget_exports_called_so)
        before_deletion.append(services.forget_exports_of)
        before_trashing.append(services.forget_exports_of_trashed)
