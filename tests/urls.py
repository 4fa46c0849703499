"""The admin and the metrics, for the tests that open them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from django_taskstore import metrics

urlpatterns = [path("admin/", admin.site.urls), path("metrics", metrics.view)]
