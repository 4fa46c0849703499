"""The pages of the example project."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

admin.site.site_header = "The Weekly Tide"
admin.site.site_title = "The Weekly Tide"

urlpatterns = [path("admin/", admin.site.urls), path("", include("newsletter.urls"))]
