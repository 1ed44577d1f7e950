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
from provisioning.model.datasets import Dataset
from provisioning.model.memory import MemoryStock
from provisioning.model.organisations import Organisation
from provisioning.reports.catalogue import Catalogue, build, write
from provisioning.reports.released import gate
from tests.register_rig import record

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


def _device(number: int, name: str = "FLOW", **changes: Any) -> Any:
    stream = {
        "property": "traffic.flow.vehicle",
        "klassa": {"K": 0, "R": 1, "T": 1, "date": "2026-10-02", "by": "x"},
        "openness": {"level": "open", "dataset_id": name},
        **changes.pop("stream", {}),
    }
    values = {"lifecycle": {"stage": "operational"}, "personal_data": {"level": "none"}, **changes}
    return record(number, id=f"TRK-{number:04}", streams=[stream], **values)


@pytest.mark.parametrize("form", ["turtle", "json-ld"])
def test_what_is_mandatory_is_there_in_both_forms(form: Any) -> None:
    released, _ = gate(
        MemoryStock([_device(1), _device(2, "LIGHT")]),
        [dataset(), dataset("LIGHT", publisher="stokab", endpoint_url=None)],
    )
    graph = Graph().parse(data=write(ABOUT, released, ORGANISATIONS, form), format=form)
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
    released, _ = gate(MemoryStock([_device(1)]), [dataset()])
    graph = build(ABOUT, released, ORGANISATIONS)
    for subject in set(graph.subjects(RDF.type, None)):
        if missing != DCTERMS.license or (subject, RDF.type, DCAT.Catalog) in graph:
            graph.remove((subject, missing, None))
    assert not validate(graph, shacl_graph=SHAPES)[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"stream": {"openness": {"level": "internal", "dataset_id": "FLOW"}}}, "is internal, not open"),
        ({"stream": {"klassa": {"K": 1, "R": 1, "T": 1, "date": "2026-10-02", "by": "x"}}}, "K 0"),
        ({"stream": {"klassa": None}}, "K 0"),
        ({"personal_data": {"level": "possible"}}, "personal data"),
        ({"personal_data": None}, "personal data"),
        ({"lifecycle": {"stage": "planned"}}, "no device that stands"),
    ],
)
def test_one_stream_that_may_not_leave_holds_back_its_dataset(changes: dict[str, Any], why: str) -> None:
    good = [] if "lifecycle" in changes else [_device(1)]
    released, held_back = gate(
        MemoryStock([*good, _device(2, **changes), _device(3, "LIGHT")]), [dataset(), dataset("LIGHT")]
    )
    assert [each.dataset.id for each in released] == ["LIGHT"]
    assert why in "\n".join(held_back[0].reasons)
    assert "FLOW" not in write(ABOUT, released, ORGANISATIONS)


@pytest.mark.parametrize(
    "licence", ["https://creativecommons.org/licenses/by/4.0/deed.sv", "https://example.org/terms"]
)
def test_licences_are_exact(licence: str) -> None:
    released, held_back = gate(MemoryStock([_device(1)]), [dataset(license=licence)])
    assert released == []
    assert licence in held_back[0].reasons[0]
    with pytest.raises(ConfigError, match="licence"):
        write(ABOUT.model_copy(update={"license": licence}), [], ORGANISATIONS)


def test_the_catalogue_names_no_device() -> None:
    released, _ = gate(MemoryStock([_device(1)]), [dataset()])
    text = write(ABOUT, released, ORGANISATIONS)
    assert "TRK-" not in text
    assert "70b3d5" not in text
