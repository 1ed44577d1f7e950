# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What is published as open data: the datasets that streams are released into."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provisioning.model.base import MAX_ITEMS, LongText, Model, OrgId, Reference, Text, Url

Language = Literal["sv", "en"]


class Dataset(Model):
    """A dataset of the city's catalogue. Streams name it in `openness.dataset_id`."""

    id: Reference
    title_sv: Text
    title_en: Text | None = None
    description_sv: LongText
    description_en: LongText | None = None
    publisher: OrgId
    contact_name: Text
    contact_email: Annotated[str, Field(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", max_length=254)]
    """Of a function, never of a private person."""
    license: Url
    access_url: Url
    """Where the data is found."""
    format: Text = "application/json"
    """Media type."""
    endpoint_url: Url | None = None
    """Of an API that serves it."""
    endpoint_description: Url | None = None
    keywords: Annotated[tuple[Text, ...], Field(max_length=MAX_ITEMS)] = ()
    theme: Url | None = None
    hvd_category: Url | None = None
    """High-value data: only when the open-data function has asserted it."""
    legislation: Url | None = None
