# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""Properties as paho reads them, whatever they hold."""

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.platforms._properties import PublishProperties

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)


@given(texts, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF), st.lists(st.tuples(texts, texts), max_size=20))
def test_paho_reads_them(content_type: str, expiry_s: int, alias: int, user: list[tuple[str, str]]) -> None:
    packed = PublishProperties(content_type, expiry_s, alias, user).pack()
    read = Properties(PacketTypes.PUBLISH)
    _, length = read.unpack(packed)
    assert length == len(packed)
    assert read.ContentType == content_type
    assert getattr(read, "MessageExpiryInterval", 0) == expiry_s
    assert getattr(read, "TopicAlias", 0) == alias
    assert getattr(read, "UserProperty", []) == user
