# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""The catalogue of open data as DCAT-AP-SE 3.0.1 (an application profile of DCAT 3), in Turtle or JSON-LD."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from provisioning.errors import ConfigError
from provisioning.model.base import LongText, Model, OrgId, Text, Url
from provisioning.model.organisations import Organisation
from provisioning.reports.released import Released
from provisioning.reports.render import not_installed

if TYPE_CHECKING:
    from rdflib import Graph, URIRef

_PUBLIC: Final = "http://publications.europa.eu/resource/authority/access-right/PUBLIC"
_AUTHORITY: Final = "http://purl.org/adms/publishertype/LocalAuthority"
_COMPANY: Final = "http://purl.org/adms/publishertype/Company"
_MEDIA: Final = "https://www.iana.org/assignments/media-types/"
Form = Literal["turtle", "json-ld"]


class Catalogue(Model):
    """What is said of the catalogue itself; `base` is where its things get their addresses."""

    base: Url
    title_sv: Text
    title_en: Text | None = None
    description_sv: LongText
    description_en: LongText | None = None
    publisher: OrgId
    license: Url = Field(default="https://creativecommons.org/publicdomain/zero/1.0/")


def write(
    about: Catalogue,
    released: Sequence[Released],
    organisations: Mapping[str, Organisation],
    form: Form = "turtle",
    *,
    licences: Collection[str],
) -> str:
    """The catalogue as text. Raises NotInstalled without rdflib, ConfigError for a licence not in `licences`."""
    graph = build(about, released, organisations, licences)
    return graph.serialize(format=form, indent=2) if form == "json-ld" else graph.serialize(format=form)


def build(
    about: Catalogue,
    released: Sequence[Released],
    organisations: Mapping[str, Organisation],
    licences: Collection[str],
) -> Graph:
    """The catalogue as a graph."""
    try:
        from rdflib import Graph
        from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF
    except ImportError as error:
        raise not_installed("The catalogue", "rdflib") from error
    if about.license not in licences:
        raise ConfigError("The catalogue's licence is none of open data.", value=about.license)
    maker = _Maker(Graph(), about.base.rstrip("/"), organisations)
    graph = maker.graph
    for prefix, namespace in (("dcat", DCAT), ("dcterms", DCTERMS), ("foaf", FOAF), ("vcard", maker.vcard)):
        graph.bind(prefix, namespace)
    catalogue = maker.at("catalogue")
    graph.add((catalogue, RDF.type, DCAT.Catalog))
    maker.say(catalogue, DCTERMS.title, about.title_sv, about.title_en)
    maker.say(catalogue, DCTERMS.description, about.description_sv, about.description_en)
    graph.add((catalogue, DCTERMS.license, maker.link(about.license)))
    graph.add((catalogue, DCTERMS.publisher, maker.agent(about.publisher)))
    for each in released:
        graph.add((catalogue, DCAT.dataset, maker.dataset(each)))
        service = maker.service(each)
        if service is not None:
            graph.add((catalogue, DCAT.service, service))
    return graph


class _Maker:
    """Puts things into the graph."""

    def __init__(self, graph: Graph, base: str, organisations: Mapping[str, Organisation]) -> None:
        from rdflib import Namespace

        self.graph = graph
        self._base = base
        self._organisations = organisations
        self.vcard = Namespace("http://www.w3.org/2006/vcard/ns#")
        self._dcatap = Namespace("http://data.europa.eu/r5r/")

    def at(self, path: str) -> URIRef:
        from urllib.parse import quote

        from rdflib import URIRef

        return URIRef(f"{self._base}/{quote(path)}")

    @staticmethod
    def link(url: str) -> URIRef:
        from rdflib import URIRef

        return URIRef(url)

    def say(self, subject: URIRef, what: URIRef, swedish: str, english: str | None) -> None:
        from rdflib import Literal as Words

        self.graph.add((subject, what, Words(swedish, lang="sv")))
        if english is not None:
            self.graph.add((subject, what, Words(english, lang="en")))

    def agent(self, org_id: str) -> URIRef:
        from rdflib import Literal as Words
        from rdflib.namespace import DCTERMS, FOAF, RDF

        organisation = self._organisations.get(org_id)
        agent = self.at(f"agent/{org_id}")
        company = organisation is not None and organisation.kind == "bolag"
        self.graph.add((agent, RDF.type, FOAF.Agent))
        self.graph.add((agent, FOAF.name, Words(organisation.name if organisation else org_id)))
        self.graph.add((agent, DCTERMS.type, self.link(_COMPANY if company else _AUTHORITY)))
        return agent

    def dataset(self, released: Released) -> URIRef:
        from rdflib import Literal as Words
        from rdflib.namespace import DCAT, DCTERMS, RDF

        about = released.dataset
        dataset = self.at(f"dataset/{about.id}")
        self.graph.add((dataset, RDF.type, DCAT.Dataset))
        self.say(dataset, DCTERMS.title, about.title_sv, about.title_en)
        self.say(dataset, DCTERMS.description, about.description_sv, about.description_en)
        self.graph.add((dataset, DCTERMS.publisher, self.agent(about.publisher)))
        self.graph.add((dataset, DCTERMS.accessRights, self.link(_PUBLIC)))
        self.graph.add((dataset, DCAT.contactPoint, self._contact(released)))
        self.graph.add((dataset, DCAT.distribution, self._distribution(released)))
        for keyword in about.keywords:
            self.graph.add((dataset, DCAT.keyword, Words(keyword, lang="sv")))
        if about.theme is not None:
            self.graph.add((dataset, DCAT.theme, self.link(about.theme)))
        if about.hvd_category is not None and about.legislation is not None:
            self.graph.add((dataset, self._dcatap.hvdCategory, self.link(about.hvd_category)))
            self.graph.add((dataset, self._dcatap.applicableLegislation, self.link(about.legislation)))
        return dataset

    def _contact(self, released: Released) -> URIRef:
        from rdflib import Literal as Words
        from rdflib.namespace import RDF

        contact = self.at(f"contact/{released.dataset.id}")
        self.graph.add((contact, RDF.type, self.vcard.Organization))
        self.graph.add((contact, self.vcard.fn, Words(released.dataset.contact_name)))
        self.graph.add((contact, self.vcard.hasEmail, self.link(f"mailto:{released.dataset.contact_email}")))
        return contact

    def _distribution(self, released: Released) -> URIRef:
        from rdflib.namespace import DCAT, DCTERMS, RDF

        about = released.dataset
        distribution = self.at(f"distribution/{about.id}")
        self.graph.add((distribution, RDF.type, DCAT.Distribution))
        self.graph.add((distribution, DCAT.accessURL, self.link(about.access_url)))
        self.graph.add((distribution, DCTERMS.format, self.link(_MEDIA + about.format)))
        self.graph.add((distribution, DCTERMS.license, self.link(about.license)))
        if about.endpoint_url is not None:
            self.graph.add((distribution, DCAT.accessService, self.at(f"service/{about.id}")))
        return distribution

    def service(self, released: Released) -> URIRef | None:
        from rdflib.namespace import DCAT, DCTERMS, RDF

        about = released.dataset
        if about.endpoint_url is None:
            return None
        service = self.at(f"service/{about.id}")
        self.graph.add((service, RDF.type, DCAT.DataService))
        self.say(service, DCTERMS.title, about.title_sv, about.title_en)
        self.graph.add((service, DCAT.endpointURL, self.link(about.endpoint_url)))
        self.graph.add((service, DCAT.servesDataset, self.at(f"dataset/{about.id}")))
        self.graph.add((service, DCTERMS.publisher, self.agent(about.publisher)))
        self.graph.add((service, DCAT.contactPoint, self._contact(released)))
        if about.endpoint_description is not None:
            self.graph.add((service, DCAT.endpointDescription, self.link(about.endpoint_description)))
        return service
