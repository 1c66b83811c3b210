"""Versions: ``/api/v1/assistants``."""

from __future__ import annotations

from django.urls import URLPattern

fixed: list[URLPattern] = []
patterns: list[URLPattern] = []
