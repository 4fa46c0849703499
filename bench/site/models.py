"""One table, for handlers that read a row."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    """A row that a handler reads."""

    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text
