from django.apps import AppConfig


class SovereignConfig(AppConfig):
    """The composition root: owns the commands that join several rooms, and no models."""

    name = "sovereign"
    label = "sovereign"
