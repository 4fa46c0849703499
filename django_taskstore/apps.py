"""The app's entry: loads what listens, then every app's tasks module. Touches no database."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TaskStoreConfig(AppConfig):
    """django_taskstore as Django sees it."""

    name = "django_taskstore"
    label = "django_taskstore"
    verbose_name = _("Task store")
    default_auto_field = "django.db.models.BigAutoField"
