"""What browsers ask for to install the chat, and what the chat is without a network."""

from __future__ import annotations

import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

pytestmark = pytest.mark.django_db


def test_the_manifest_names_icons_that_are_there(client: Client) -> None:
    answer = client.get("/manifest.webmanifest")
    assert answer["Content-Type"] == "application/manifest+json"
    told = answer.json()
    assert (told["start_url"], told["scope"], told["display"]) == ("/chat/", "/", "standalone")
    assert {icon["sizes"] for icon in told["icons"]} >= {"any", "192x192", "512x512"}
    assert "maskable" in {icon.get("purpose") for icon in told["icons"]}
    assert all(finders.find(icon["src"].removeprefix("/static/")) for icon in told["icons"])


def test_the_worker_keeps_files_that_are_there_and_is_never_kept_itself(client: Client) -> None:
    answer = client.get("/service-worker.js")
    assert answer["Content-Type"].startswith("text/javascript")
    assert answer["Cache-Control"] == "no-cache"
    needed = re.findall(r'"/static/([^"]+)"', answer.content.decode())
    assert len(needed) == 3
    assert all(finders.find(name) for name in needed)


def test_the_page_without_a_network_is_nobodys(client: Client, admin_client: Client) -> None:
    content = client.get("/offline").content
    assert b"Sovereign cannot be reached" in content
    assert admin_client.get("/offline").content == content
