"""Subscribers, newsletters and mails in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from newsletter.models import Email, Newsletter, Subscriber
from newsletter.tasks import SendNewsletterTask


@admin.register(Subscriber)
class SubscriberAdmin(admin.ModelAdmin):
    """People."""

    list_display = ["email", "name", "is_active", "created_at"]
    list_filter = ["is_active"]
    search_fields = ["email", "name"]


@admin.register(Newsletter)
class NewsletterAdmin(admin.ModelAdmin):
    """Issues, which an action sends."""

    list_display = ["subject", "created_at", "sent_at", "mails"]
    actions = ["send_newsletter"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Newsletter]:
        sent = Count("emails", filter=Q(emails__sent_at__isnull=False))
        return super().get_queryset(request).annotate(all_mails=Count("emails"), sent_mails=sent)

    @admin.display(description="e-mails sent")
    def mails(self, newsletter: Any) -> str:
        """Say how many of the mails have gone out."""
        return f"{newsletter.sent_mails} of {newsletter.all_mails}"

    @admin.action(description="Send newsletter", permissions=["change"])
    def send_newsletter(self, request: HttpRequest, queryset: QuerySet[Newsletter]) -> None:
        """Queue a task for each newsletter; a worker makes and sends the mails."""
        for newsletter in queryset:
            task = SendNewsletterTask.enqueue(newsletter=newsletter.pk)
            text = f"“{newsletter}” will be sent by task {task.pk}."
            self.message_user(request, text, messages.SUCCESS)


@admin.register(Email)
class EmailAdmin(admin.ModelAdmin):
    """Mails, for looking only."""

    list_display = ["subject", "subscriber", "created_at", "sent_at"]
    list_filter = [("sent_at", admin.EmptyFieldListFilter)]
    list_select_related = ["subscriber"]
    search_fields = ["subscriber__email"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        return False
