from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "sovereign.accounts"
    label = "accounts"
