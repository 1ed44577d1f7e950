# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The rules for people: the page, the list, the explanations, what a pack changes; and packs that are refused."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import typer

from provisioning.cli.app import app
from provisioning.guidelines import describe, pack, signed_pack
from provisioning.guidelines.engine import ORDER, rules_in_force
from provisioning.guidelines.errors import PackError
from provisioning.guidelines.rules import all_rules
from provisioning.guidelines.texts import all_texts
from tests.guideline_rig import KEY, NOW, lykta, stock_of

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_what_the_rules_say_today() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert page == describe.page(pack.proposed()), "stale: lykta rules page > docs/rules.md"


def test_all_groups_of_the_catalogue_have_rules() -> None:
    assert {each.partition("-")[0] for each in pack.proposed().rules} == set(ORDER)
    assert len(pack.proposed().rules) == 80


def test_every_rule_speaks_both_languages_and_says_what_to_do() -> None:
    for rule_id, text in all_texts().items():
        placeholders = {case: set(re.findall(r"{(\w+)}", each.sv)) for case, each in text.cases.items()}
        assert text.do, rule_id
        assert text.title.sv != text.title.en, rule_id
        for case, message in text.cases.items():
            assert set(re.findall(r"{(\w+)}", message.en)) <= placeholders[case] | {"design_s"}, (rule_id, case)


def _commands(tree: typer.Typer) -> dict[str, set[str]]:
    click = typer.main.get_command(tree)
    return {name: set(getattr(each, "commands", {})) for name, each in getattr(click, "commands", {}).items()}


def test_every_command_that_a_rule_names_exists() -> None:
    known = _commands(app)
    for rule_id, text in all_texts().items():
        for line in (each for each in text.do if each.startswith("lykta ")):
            words = line.split()
            assert words[1] in known, (rule_id, line)
            assert not known[words[1]] or words[2] in known[words[1]], (rule_id, line)


def test_every_line_that_a_rule_wants_written_is_toml() -> None:
    for rule_id, text in all_texts().items():
        for line in (each for each in text.do if not each.startswith("lykta ")):
            # A stream is one of an array of tables: in the record its key stands without `streams.`
            assert tomllib.loads(re.sub(r"{(\w+)}", "1", line).replace('"1"', '"x"')), (rule_id, line)


def test_rules_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert lykta("rules", "list", "--lang", "en") == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 81
    assert "a proposal, adopted by nobody" in told.err
    assert lykta("rules", "list", "--json") == 0
    assert {each["rule_id"] for each in json.loads(capsys.readouterr().out)} == set(all_rules())
    for rule_id in (f"{group}-1" for group in ORDER):
        assert lykta("rules", "explain", rule_id, "--lang", "sv") == 0
        assert all_texts()[rule_id].why.sv in capsys.readouterr().out
    assert lykta("rules", "explain", "NOT-1") == 1
    assert "There is no rule with this id" in capsys.readouterr().err


def test_a_new_pack_is_compared_with_the_old_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lykta("rules", "export") == 0
    old = tmp_path / "old.toml"
    old.write_text(capsys.readouterr().out, encoding="utf-8")
    new = tmp_path / "new.toml"
    new.write_text(old.read_text(encoding="utf-8").replace("council_exists = 0.0", "council_exists = 1.0"))
    assert lykta("rules", "diff", str(new), str(old)) == 1
    assert capsys.readouterr().out == "~ rules.PRIV-7.numbers.council_exists: 0.0 -> 1.0\n"
    assert lykta("rules", "diff", str(old), str(old)) == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('[rules."KPI-1"]', '[rules."KPI-9"]', "names rules that this program does not have"),
        ("numbers = { council_exists = 0.0 }", "", "does not give a rule its numbers"),
        ('cases = { near = "warn" }', 'cases = { naer = "warn" }', "cases that a rule does not have"),
        ('approvers = [["dpo"]]', 'approvers = [["king"]]', "roles that [roles] does not list: king"),
        ('severity = "info"', 'severity = "shout"', "severity"),
        ('status = "proposed"', 'status = "adopted"', "adopted_by go together"),
        ("valid_to = 2028-01-01", "valid_to = 2025-01-01", "valid_from lies before valid_to"),
        ("grace_days = 180", "grace_dayz = 180", "unknown key"),
    ],
)
def test_a_pack_that_does_not_fit_is_refused_and_judges_nothing(old: str, new: str, says: str) -> None:
    text = pack.proposed_text()
    assert old in text
    with pytest.raises(PackError, match=re.escape(says)):
        rules_in_force(pack.parse(text.replace(old, new, 1), "pack"))


def test_a_signature_counts_only_for_the_role_the_time_and_the_bytes() -> None:
    stock = stock_of().stock()
    message = signed_pack.sign(pack.proposed_text(), KEY, "slk-1", NOW)
    assert signed_pack.trust(signed_pack.load(message, "it"), stock) == signed_pack.Trust()
    changed = message.replace(b"grace_days = 180", b"grace_days = 990")
    assert signed_pack.trust(signed_pack.load(changed, "it"), stock).problem == "bad_signature"
    other = signed_pack.sign(pack.proposed_text(), KEY, "nobody", NOW)
    assert signed_pack.trust(signed_pack.load(other, "it"), stock).problem == "unknown_signer"
    early = signed_pack.sign(pack.proposed_text(), KEY, "slk-1", NOW.replace(year=2025))
    assert signed_pack.trust(signed_pack.load(early, "it"), stock).problem == "unknown_signer"
    for holder in ({"role": "owner"}, {"revoked_at": "2026-02-01T00:00:00Z"}):
        from tests.guideline_rig import HOLDER

        less = stock_of(role_holders=[{**HOLDER, **holder}]).stock()
        assert signed_pack.trust(signed_pack.load(message, "it"), less).problem == "unknown_signer"
    for broken in (b"", b"\x00", message[:-1], message[1:]):
        with pytest.raises(PackError):
            signed_pack.load(broken, "it")
