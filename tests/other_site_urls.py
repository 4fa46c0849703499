"""A project with an admin site of its own, and none of Django's."""

from __future__ import annotations

from django.contrib.admin import AdminSite, site
from django.urls import path

desk = AdminSite(name="desk")
for model, model_admin in site._registry.items():
    desk.register(model, type(model_admin))

urlpatterns = [path("desk/", desk.urls)]
