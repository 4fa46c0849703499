"""The example project: a small newsletter site."""
