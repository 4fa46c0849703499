"""The form of the front page."""

from __future__ import annotations

from django import forms

from newsletter.models import Subscriber


class SubscribeForm(forms.ModelForm):
    """Asks for an address and, if they like, a name."""

    email = forms.EmailField(
        label="E-mail",
        widget=forms.EmailInput(attrs={"placeholder": "you@example.com", "autocomplete": "email"}),
    )
    name = forms.CharField(
        label="Name",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"placeholder": "optional", "autocomplete": "name"}),
    )

    class Meta:
        model = Subscriber
        fields = ["email", "name"]

    def clean_email(self) -> str:
        """Compare addresses in lower case."""
        return self.cleaned_data["email"].lower()

    def validate_unique(self) -> None:
        """Leave it to the view: the page does not tell strangers who subscribes."""
