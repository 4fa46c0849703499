"""The public pages."""

from __future__ import annotations

from django.urls import path

from newsletter import views

app_name = "newsletter"
urlpatterns = [
    path("", views.front_page, name="front_page"),
    path("leave/<str:token>/", views.unsubscribe, name="unsubscribe"),
]
