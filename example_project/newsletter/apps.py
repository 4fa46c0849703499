"""The app's entry."""

from __future__ import annotations

from django.apps import AppConfig


class NewsletterConfig(AppConfig):
    """The newsletter app."""

    name = "newsletter"
    default_auto_field = "django.db.models.BigAutoField"
