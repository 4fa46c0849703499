"""Subscribers, newsletters, and the e-mails made of them.

An `Email` row is made in the same transaction as the task that sends it: a mail is never
promised without a row, and never sent for something that was rolled back.
"""

from __future__ import annotations

from django.core import signing
from django.db import models
from django.urls import reverse

SALT = "newsletter.unsubscribe"


class Subscriber(models.Model):
    """Somebody who wants the newsletter."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["email"]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

    @property
    def greeting(self) -> str:
        """The first line of a mail."""
        return f"Hello {self.name}," if self.name else "Hello,"

    def unsubscribe_path(self) -> str:
        """Return the path of the page that ends the subscription, good only for this one."""
        return reverse("newsletter:unsubscribe", args=[signing.dumps(self.pk, salt=SALT)])

    @classmethod
    def from_token(cls, token: str) -> Subscriber:
        """Return whom an unsubscribe link was made for.

        Raises:
            signing.BadSignature: nobody signed this token.
            Subscriber.DoesNotExist: the subscriber is gone.
        """
        return cls.objects.get(pk=signing.loads(token, salt=SALT))


class Newsletter(models.Model):
    """One issue."""

    subject = models.CharField(max_length=200)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.subject


class Email(models.Model):
    """One mail to one subscriber, sent or still to be sent."""

    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="emails")
    newsletter = models.ForeignKey(
        Newsletter, models.CASCADE, related_name="emails", null=True, blank=True
    )
    subject = models.CharField(max_length=200)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["newsletter", "subscriber"], name="newsletter_one_mail_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} → {self.subscriber.email}"
