"""Diagnosis."""

from __future__ import annotations

from api.routes.parts import guarded_router

router = guarded_router("diagnosis")
