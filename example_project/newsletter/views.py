"""The public pages: subscribe, and leave."""

from __future__ import annotations

from django.contrib import messages
from django.core import signing
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from newsletter.forms import SubscribeForm
from newsletter.models import Email, Newsletter, Subscriber
from newsletter.tasks import SendEmailTask

WELCOME = "thank you for subscribing to The Weekly Tide. The next issue comes on Friday."


def front_page(request: HttpRequest) -> HttpResponse:
    """Show the latest issues and the form to subscribe."""
    form = SubscribeForm(request.POST or None, label_suffix="")
    if request.method == "POST" and form.is_valid():
        subscribe(form.cleaned_data["email"], form.cleaned_data["name"])
        messages.success(request, "Thank you! A welcome mail is on its way.")
        return redirect("newsletter:front_page")
    issues = Newsletter.objects.exclude(sent_at=None)[:3]
    return render(request, "newsletter/front_page.html", {"form": form, "issues": issues})


@transaction.atomic
def subscribe(email: str, name: str) -> None:
    """Add a subscriber together with the mail that welcomes them and the task that sends it."""
    subscriber, _ = Subscriber.objects.update_or_create(
        email=email, defaults={"is_active": True}, create_defaults={"name": name}
    )
    welcome = Email.objects.create(
        subscriber=subscriber,
        subject="Welcome aboard",
        body=f"{subscriber.greeting}\n\n{WELCOME}",
    )
    SendEmailTask.enqueue(email=welcome.pk)


def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, then end a subscription."""
    try:
        subscriber = Subscriber.from_token(token)
    except (signing.BadSignature, Subscriber.DoesNotExist) as error:
        raise Http404("This link is not valid.") from error
    if request.method == "POST":
        Subscriber.objects.filter(pk=subscriber.pk).update(is_active=False)
        messages.success(request, "You will get no more mail from us.")
        return redirect("newsletter:front_page")
    return render(request, "newsletter/unsubscribe.html", {"subscriber": subscriber})
