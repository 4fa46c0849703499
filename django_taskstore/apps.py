"""The app's entry: loads what listens, then every app's tasks module. Touches no database."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from django_taskstore.conf import tasks_api
from django_taskstore.exceptions import HandlerImportFailed, TaskStoreError


class TaskStoreConfig(AppConfig):
    """django_taskstore as Django sees it."""

    name = "django_taskstore"
    label = "django_taskstore"
    verbose_name = _("Task store")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect receivers and fill the registry from each app's ``tasks.py``.

        Raises:
            HandlerImportFailed: a tasks module fails to import.
        """
        from django_taskstore import (  # noqa: PLC0415
            bulk,  # noqa: F401
            checks,  # noqa: F401
            definitions,
            logs,
            scheduler,
        )

        logs.follow()
        post_migrate.connect(
            definitions.mirror_after_migrate,
            sender=self,
            dispatch_uid="django_taskstore.definitions.mirror",
        )
        post_migrate.connect(
            scheduler.mirror_after_migrate,
            sender=self,
            dispatch_uid="django_taskstore.scheduler.mirror",
        )
        if getattr(settings, "TASKS", None) and tasks_api():
            # A worker must know the rows of task functions, also before it imports one.
            from django_taskstore import backends  # noqa: F401, PLC0415
        try:
            autodiscover_modules("tasks")
        except TaskStoreError:
            raise
        except Exception as error:
            raise HandlerImportFailed(
                f"An app's tasks module failed to import: {type(error).__name__}: {error}. Its "
                "handlers would be missing, so nothing was started; the traceback above names "
                "the module."
            ) from error
