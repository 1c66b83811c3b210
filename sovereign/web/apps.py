from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "sovereign.web"
    label = "web"
