from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "sovereign.web"
    label = "web"

    def ready(self) -> None:
        from allauth.socialaccount.signals import social_account_added

        from sovereign.web.people.adapters import note_connection

        social_account_added.connect(note_connection, dispatch_uid="audit")
