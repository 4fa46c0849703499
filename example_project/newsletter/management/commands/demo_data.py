"""Fill the example with something to look at; running it twice changes nothing."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from newsletter.models import Newsletter, Subscriber

NAMES = ["Tom Jones", "Ada Ames", "Ivan Ivanov", "Maria Meyer", "Noor Nasser"]
BODY = (
    "The tide tables for the week are out, the harbour café has its terrace back, and the "
    "lighthouse opens its doors on Sunday.\n\n"
    "See you at the water."
)


class Command(BaseCommand):
    """Makes an admin user, five subscribers and a newsletter."""

    help = "Make an admin user (admin / admin), five subscribers and a newsletter."

    def handle(self, *_: Any, **__: Any) -> None:
        users = get_user_model().objects
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", "admin@example.com", "admin")
        for name in NAMES:
            email = f"{name.split()[0].lower()}@example.com"
            Subscriber.objects.get_or_create(email=email, defaults={"name": name})
        newsletter, _ = Newsletter.objects.get_or_create(
            subject="Spring tide", defaults={"body": BODY}
        )
        self.stdout.write(
            f"{Subscriber.objects.count()} subscribers, newsletter {newsletter.pk} "
            f"“{newsletter}”, and a user admin with the password admin."
        )
