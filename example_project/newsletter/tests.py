"""Tests of the site, written as a project that uses the package would: `manage.py test`."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core import mail
from django.db import transaction
from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils import timezone

from django_taskstore.models import QueuedTask, Schedule
from django_taskstore.scheduler import run_now
from django_taskstore.testing import drain
from newsletter.models import Email, Newsletter, Subscriber
from newsletter.tasks import ImportSubscribersTask, SendEmailTask, SendNewsletterTask
from newsletter.views import subscribe


class PublicPages(TestCase):
    """What visitors do."""

    def test_a_subscriber_is_welcomed_by_mail(self):
        answer = self.client.post("/", {"email": "Tom@Example.com", "name": "Tom"}, follow=True)
        self.assertContains(answer, "A welcome mail is on its way.")
        drain("emails")
        assert [one.to for one in mail.outbox] == [["tom@example.com"]]
        assert "Hello Tom," in mail.outbox[0].body

    def test_a_wrong_address_is_explained(self):
        answer = self.client.post("/", {"email": "nobody"})
        self.assertContains(answer, "Enter a valid email address.")
        assert not QueuedTask.objects.exists()

    def test_the_link_in_a_mail_ends_the_subscription(self):
        subscriber = Subscriber.objects.create(email="tom@example.com")
        path = subscriber.unsubscribe_path()
        self.assertContains(self.client.get(path), "tom@example.com")
        self.client.post(path)
        subscriber.refresh_from_db()
        assert not subscriber.is_active
        assert self.client.get(path[:-3] + "xy/").status_code == 404

    def test_a_subscription_that_is_rolled_back_queues_nothing(self):
        with self.assertRaises(ZeroDivisionError), transaction.atomic():  # noqa: PT027
            subscribe("tom@example.com", "Tom")
            raise ZeroDivisionError
        assert not QueuedTask.objects.exists()


class Sending(TestCase):
    """What tasks do."""

    def setUp(self):
        self.newsletter = Newsletter.objects.create(subject="Tides", body="High at noon.")
        for name in ("ann", "bob"):
            Subscriber.objects.create(email=f"{name}@example.com", name=name.title())

    def test_a_newsletter_reaches_each_active_subscriber_once(self):
        Subscriber.objects.filter(name="Bob").update(is_active=False)
        SendNewsletterTask.enqueue(newsletter=self.newsletter.pk)
        drain("emails")
        SendNewsletterTask.enqueue(newsletter=self.newsletter.pk)
        drain("emails")
        assert [one.to for one in mail.outbox] == [["ann@example.com"]]

    def test_a_fan_out_that_fails_leaves_nothing(self):
        Newsletter.objects.filter(pk=self.newsletter.pk).delete()
        task = SendNewsletterTask.enqueue(newsletter=self.newsletter.pk)
        drain("emails")
        task.refresh_from_db()
        assert task.status == "scheduled"
        assert not Email.objects.exists()

    def test_who_has_left_gets_no_mail(self):
        subscriber = Subscriber.objects.create(email="eve@example.com", is_active=False)
        email = Email.objects.create(subscriber=subscriber, subject="Hello", body="Hello")
        task = SendEmailTask.enqueue(email=email.pk)
        drain("emails")
        task.refresh_from_db()
        assert (task.status, mail.outbox) == ("canceled", [])

    def test_the_admin_action_queues_a_task(self):
        self.client.force_login(get_user_model().objects.create_superuser("admin"))
        answer = self.client.post(
            reverse("admin:newsletter_newsletter_changelist"),
            {"action": "send_newsletter", "_selected_action": [self.newsletter.pk]},
            follow=True,
        )
        self.assertContains(answer, "will be sent by task")
        drain("emails")
        assert len(mail.outbox) == 2


class Importing(TestCase):
    """Reading CSV files."""

    def run_import(self, text, file="people.csv"):
        """Run the task on a file with this text and return its row."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder).resolve() / "people.csv").write_text(text, encoding="utf-8")
            with override_settings(IMPORT_DIR=Path(folder).resolve()):
                task = ImportSubscribersTask.enqueue(file=file)
                drain("imports")
        task.refresh_from_db()
        return task

    def test_good_rows_are_added_and_bad_ones_named(self):
        task = self.run_import("email,name\nann@example.com,Ann\nnobody,\nann@example.com,Ann\n")
        assert task.output == {"added": 1, "known": 1, "invalid": 1}
        assert task.progress["done"] == 3
        assert "nobody is not an e-mail address." in task.details

    def test_a_file_outside_the_folder_is_refused(self):
        task = self.run_import("email\n", file="../settings.py")
        assert task.status == "failed"
        assert "lies outside" in task.details


class ByItself(TestCase):
    """What a schedule does."""

    def test_old_mail_is_removed_every_night(self):
        schedule = Schedule.objects.get(name="RemoveOldMailTask")
        assert schedule.sentence == "Every day at 03:30, Europe/Sofia"
        subscriber = Subscriber.objects.create(email="tom@example.com")
        for days in (31, 1):
            sent_at = timezone.now() - timedelta(days=days)
            Email.objects.create(subscriber=subscriber, subject="Tides", sent_at=sent_at)
        run_now(schedule)
        drain()
        assert Email.objects.count() == 1
