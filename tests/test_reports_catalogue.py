# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of open data: what DCAT-AP-SE makes mandatory is there, and nothing that was not released."""

from pathlib import Path
from typing import Any

import pytest
from pyshacl import validate
from rdflib import Graph, URIRef
from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF

from provisioning.errors import ConfigError
from provisioning.guidelines.engine import Guidelines, guidelines
from provisioning.guidelines.findings import Mode
from provisioning.guidelines.pack import proposed
from provisioning.model.datasets import Dataset
from provisioning.model.organisations import Organisation
from provisioning.reports.catalogue import Catalogue, build, write
from provisioning.reports.released import gate
from tests.guideline_rig import NOW, record, rulepack, stock_of

SHAPES = Graph().parse(Path(__file__).parent / "vectors" / "register" / "dcat-ap-se-mandatory.ttl")
CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
ABOUT = Catalogue(
    base="https://data.example.org/",
    title_sv="Öppna data",
    title_en="Open data",
    description_sv="Data från stadens enheter",
    publisher="trafiknamnden",
)
ORGANISATIONS = {
    "trafiknamnden": Organisation(id="trafiknamnden", name="Trafiknämnden", kind="namnd"),
    "stokab": Organisation(id="stokab", name="AB Stokab", kind="bolag"),
}


def dataset(name: str = "FLOW", **changes: Any) -> Dataset:
    values: dict[str, Any] = {
        "id": name,
        "title_sv": "Trafikflöde",
        "title_en": "Traffic flow",
        "description_sv": "Fordon per minut",
        "publisher": "trafiknamnden",
        "contact_name": "Trafikdata",
        "contact_email": "trafikdata@example.org",
        "license": CC0,
        "access_url": "https://data.example.org/flow",
        "endpoint_url": "https://data.example.org/flow/v1",
        "keywords": ("trafik",),
        "theme": "http://publications.europa.eu/resource/authority/data-theme/TRAN",
        **changes,
    }
    return Dataset.model_validate(values)


LICENCES = proposed().tables.licences


def _device(number: int, name: str = "FLOW", **changes: Any) -> dict[str, Any]:
    """A counter that breaks no rule; `changes` by JSON pointer."""
    values: dict[str, Any] = {
        "/id": f"TRK-{number:04}",
        "/name": f"counter {number}",
        "/identity/dev_eui": f"70b3d57ed{number:07x}",
        "/credentials/fingerprint": f"hmac:{number:032x}",
        "/streams/0/openness/dataset_id": name,
        "/lifecycle/stage": "operational",
        "/lifecycle/installed_at": "2026-10-01T08:00:00Z",
        **changes,
    }
    return record("counter", values)


def _rules(*devices: dict[str, Any], **more: Any) -> Guidelines:
    found = stock_of(devices=list(devices), **more)
    return guidelines(found.stock(), found.pack(), mode=Mode.AUDIT, now=NOW)


@pytest.mark.parametrize("form", ["turtle", "json-ld"])
def test_what_is_mandatory_is_there_in_both_forms(form: Any) -> None:
    released, _ = gate(
        _rules(_device(1), _device(2, "LIGHT")),
        [dataset(), dataset("LIGHT", publisher="stokab", endpoint_url=None)],
    )
    graph = Graph().parse(data=write(ABOUT, released, ORGANISATIONS, form, licences=LICENCES), format=form)
    conforms, _, text = validate(graph, shacl_graph=SHAPES)
    assert conforms, text
    assert set(graph.subjects(RDF.type, DCAT.Dataset)) == {
        URIRef("https://data.example.org/dataset/FLOW"),
        URIRef("https://data.example.org/dataset/LIGHT"),
    }
    assert {str(title) for title in graph.objects(None, DCTERMS.title)} >= {"Trafikflöde", "Traffic flow", "Öppna data"}
    assert len(set(graph.subjects(RDF.type, DCAT.DataService))) == 1
    assert len(set(graph.subjects(RDF.type, FOAF.Agent))) == 2


@pytest.mark.parametrize(
    "missing", [DCTERMS.publisher, DCTERMS.title, DCTERMS.license, DCAT.accessURL, DCTERMS.format, FOAF.name]
)
def test_the_shapes_notice_what_is_missing(missing: URIRef) -> None:
    released, _ = gate(_rules(_device(1)), [dataset()])
    graph = build(ABOUT, released, ORGANISATIONS, LICENCES)
    for subject in set(graph.subjects(RDF.type, None)):
        if missing != DCTERMS.license or (subject, RDF.type, DCAT.Catalog) in graph:
            graph.remove((subject, missing, None))
    assert not validate(graph, shacl_graph=SHAPES)[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"/streams/0/openness/level": "internal", "/streams/0/openness/reason": "COST"}, "is internal, not open"),
        ({"/streams/0/klassa/K": 1}, "OPEN-6"),
        ({"/streams/0/klassa": None}, "OPEN-6"),
        ({"/streams/0/openness/license": "https://example.org/terms"}, "OPEN-5"),
        ({"/streams/0/openness/quality_note": None}, "OPEN-6"),
        ({"/streams/0/fields_allowed": ["count", "serial"]}, "OPEN-6"),
        ({"/personal_data/level": "possible"}, "OPEN-6"),
        ({"/personal_data": None}, "PRIV-1"),
        ({"/sensing_tech": ["camera"]}, "PRIV-1"),
        ({"/owner/contact": None}, "OPEN-2"),
        ({"/lifecycle/stage": "planned"}, "no device that stands"),
    ],
)
def test_one_stream_that_may_not_leave_holds_back_its_dataset(changes: dict[str, Any], why: str) -> None:
    good = [] if "/lifecycle/stage" in changes else [_device(1)]
    released, held_back = gate(_rules(*good, _device(2, **changes), _device(3, "LIGHT")), [dataset(), dataset("LIGHT")])
    assert [each.dataset.id for each in released] == ["LIGHT"]
    assert why in "\n".join(held_back[0].reasons)
    assert "FLOW" not in write(ABOUT, released, ORGANISATIONS, licences=LICENCES)


@pytest.mark.parametrize(
    "licence", ["https://creativecommons.org/licenses/by/4.0/deed.sv", "https://example.org/terms"]
)
def test_licences_are_exact(licence: str) -> None:
    released, held_back = gate(_rules(_device(1)), [dataset(license=licence)])
    assert released == []
    assert licence in held_back[0].reasons[0]
    with pytest.raises(ConfigError, match="licence"):
        write(ABOUT.model_copy(update={"license": licence}), [], ORGANISATIONS, licences=LICENCES)


def test_the_catalogue_names_no_device() -> None:
    released, _ = gate(_rules(_device(1)), [dataset()])
    text = write(ABOUT, released, ORGANISATIONS, licences=LICENCES)
    assert "TRK-" not in text
    assert "70b3d5" not in text


def test_rules_that_nobody_signed_and_rules_that_are_not_there_release_nothing() -> None:
    entry = '[rules."OPEN-5"]\nseverity = "block"\ncases = { "missing.planned" = "warn", "other.planned" = "warn" }\n'
    entry += 'ask = ["opendata"]\nsince = 2026-01-01\n'
    for more, why in (({"rulepack": None}, "GOV-1"), ({"rulepack": rulepack(((entry, ""),))}, "lacks OPEN-5")):
        released, held_back = gate(_rules(_device(1), **more), [dataset()])
        assert released == []
        assert why in "\n".join(held_back[0].reasons)


def test_a_rule_of_the_city_moves_the_gate() -> None:
    other = rulepack((("https://creativecommons.org/publicdomain/zero/1.0/", "https://example.org/free"),))
    released, _ = gate(_rules(_device(1), rulepack=other), [dataset()])
    assert released == []
