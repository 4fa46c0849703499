"""The work this site does in the background. Read from top to bottom, simple to elaborate."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.utils import timezone

from django_taskstore import Cancel, TaskHandler, register
from newsletter.models import Email, Newsletter, Subscriber


@register
class HelloWorldTask(TaskHandler):
    """The smallest task there is."""

    title = "Hello World"
    description = "Say hello world"

    def handle(self) -> bool:
        self.log_info(f"Hello {self.get_param('name') or 'World'}!")
        return True


class SendEmailForm(forms.Form):
    """What SendEmailTask needs."""

    email = forms.IntegerField(min_value=1, help_text="The id of the e-mail.")


@register
class SendEmailTask(TaskHandler):
    """Sends one mail. A mail server is often away for a while, so it tries five times."""

    title = "Send an e-mail"
    description = "Sends one e-mail, if it has not been sent yet."
    queue_name = "emails"
    max_attempts = 5
    backoff = (10, 60, 300, 1800)
    timeout = 60
    form_class = SendEmailForm

    def handle(self) -> dict[str, str] | None:
        email = Email.objects.select_related("subscriber").get(pk=self.get_param("email"))
        if email.sent_at is not None:
            self.log_info("The e-mail has been sent already.")
            return None
        if not email.subscriber.is_active:
            raise Cancel("The subscriber has left.")
        send(email)
        # A crash between the two lines sends the mail twice; the other order could lose it.
        Email.objects.filter(pk=email.pk).update(sent_at=timezone.now())
        self.log_success(f"Sent to {email.subscriber.email}")
        return {"to": email.subscriber.email}


class SendNewsletterForm(forms.Form):
    """What SendNewsletterTask needs."""

    newsletter = forms.IntegerField(min_value=1, help_text="The id of the newsletter.")


@register
class SendNewsletterTask(TaskHandler):
    """Fans out: makes a mail, and a task that sends it, for each subscriber.

    It is atomic: the mails, their tasks and this task's own success commit together, so that
    whatever happens each subscriber gets exactly one `Email` of each newsletter.
    """

    title = "Send a newsletter"
    description = "Queues one e-mail for each active subscriber."
    queue_name = "emails"
    priority = 10
    max_attempts = 3
    atomic = True
    form_class = SendNewsletterForm

    def handle(self) -> dict[str, int]:
        newsletter = Newsletter.objects.get(pk=self.get_param("newsletter"))
        subscribers = Subscriber.objects.filter(is_active=True).exclude(
            emails__newsletter=newsletter
        )
        Email.objects.bulk_create(newsletter_email(newsletter, one) for one in subscribers)
        unsent = newsletter.emails.filter(sent_at=None).values_list("pk", flat=True)
        queued = SendEmailTask.enqueue_many({"email": pk} for pk in unsent)
        Newsletter.objects.filter(pk=newsletter.pk).update(sent_at=timezone.now())
        self.log_success(f"Queued {queued} e-mails.")
        return {"queued": queued}


@register
class ImportSubscribersTask(TaskHandler):
    """Reads a CSV file of names and addresses; shows how far it is, and can be canceled."""

    title = "Import subscribers"
    description = "Adds the people of a CSV file with the columns email and name."
    queue_name = "imports"

    def handle_with_context(self, context: Any) -> dict[str, int]:
        rows = self.rows()
        counts = {"added": 0, "known": 0, "invalid": 0}
        for done, row in enumerate(rows, start=1):
            context.raise_if_canceled()
            counts[self.add(row)] += 1
            context.set_progress(done, len(rows), row.get("email") or "")
        self.log_success(", ".join(f"{number} {word}" for word, number in counts.items()))
        return counts

    def rows(self) -> list[dict[str, str]]:
        """Read the file, which must lie in IMPORT_DIR."""
        path = (settings.IMPORT_DIR / str(self.get_param("file"))).resolve()
        if not path.is_relative_to(settings.IMPORT_DIR):
            raise ValueError(f"{path.name} lies outside {settings.IMPORT_DIR.name}/.")
        if not path.is_file():
            raise FileNotFoundError(f"There is no {path.name} in {settings.IMPORT_DIR.name}/.")
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def add(self, row: dict[str, str]) -> str:
        """Add one subscriber and say what came of it."""
        email = (row.get("email") or "").strip().lower()
        try:
            validate_email(email)
        except ValidationError:
            self.log_error(f"{email or 'An empty address'} is not an e-mail address.")
            return "invalid"
        name = (row.get("name") or "").strip()[:100]
        _, is_new = Subscriber.objects.get_or_create(email=email, defaults={"name": name})
        return "added" if is_new else "known"


@register(
    schedule={
        "rule": "30 3 * * *",
        "time_zone": "Europe/Sofia",
        "description": "At night, when few people subscribe.",
        "overlap_policy": "skip",
    }
)
class RemoveOldMailTask(TaskHandler):
    """Runs by itself every night: its schedule stands in the decorator."""

    title = "Remove old e-mails"
    description = "Deletes e-mails that were sent more than 30 days ago."

    def handle(self) -> dict[str, int]:
        old = Email.objects.filter(sent_at__lt=timezone.now() - timedelta(days=30))
        removed, _ = old.delete()
        self.log_success(f"Removed {removed} e-mails.")
        return {"removed": removed}


class PartnerError(Exception):
    """The partner's site did not answer."""


@register
class FetchPartnerNewsTask(TaskHandler):
    """Fails and retries: the partner's site, acted here, answers the third request only."""

    title = "Fetch partner news"
    description = "Asks a partner site that often does not answer, and tries again."
    queue_name = "imports"
    max_attempts = 5
    backoff = (1, 2, 4, 8)

    def handle(self) -> dict[str, str]:
        attempt = self.queued_task.attempts if self.queued_task else 3
        self.log_info(f"Attempt {attempt}: asking the partner ...")
        if attempt < 3:
            raise PartnerError("503 Service Unavailable")
        return {"headline": "High tide at noon"}


def newsletter_email(newsletter: Newsletter, subscriber: Subscriber) -> Email:
    """Return the unsaved mail of one newsletter to one subscriber."""
    body = f"{subscriber.greeting}\n\n{newsletter.body}"
    return Email(
        newsletter=newsletter, subscriber=subscriber, subject=newsletter.subject, body=body
    )


def send(email: Email) -> None:
    """Hand a mail to Django's e-mail backend."""
    leave = f"{settings.SITE_URL}{email.subscriber.unsubscribe_path()}"
    EmailMessage(
        subject=email.subject,
        body=f"{email.body}\n\n--\nTo leave, open {leave}",
        to=[email.subscriber.email],
        headers={"List-Unsubscribe": f"<{leave}>"},
    ).send()
