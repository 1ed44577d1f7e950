# SPDX-FileCopyrightText: 2026 The Lykta developers
# SPDX-License-Identifier: Apache-2.0
"""What the public pages call things, for somebody who walks past: headings, kinds, what is measured and by what.

Names of properties are those of the rule pack, of sensors those of the register; one that has no words here is shown
as it is called there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from provisioning.guidelines.texts import Language

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "sv": {
        "title": "Uppkopplade enheter i {city}", "device": "{id} i {city}", "all": "Alla enheter",
        "count": "{n} enheter", "count one": "1 enhet", "as data": "Allt som data: {geojson}",
        "lead": "Här står vad som mäter och styr på gator och torg, vem som ansvarar för det, vad det mäter "
        "och om det kan gälla människor.",
        "feedback": "Frågor och synpunkter:", "no address": "ingen adress", "rounded": "avrundat", "exact": "exakt",
        "where": "Var", "none": "nej", "possible": "kan förekomma", "yes": "ja", "not stated": "inte angivet",
        "id": "Enhet", "kind": "Slag", "owner": "Ansvarig", "measures": "Mäter", "sensors": "Givare",
        "personal_data": "Personuppgifter", "purpose": "Syfte", "until": "Planerad till", "district": "Stadsdel",
        "address": "Adress", "position": "Läge på kartan", "more": "Mer information", "contact": "Kontakt",
        "streetlight_controller": "Gatubelysning", "waste_level": "Nivå i papperskorg",
        "traffic_counter": "Trafikräknare",
        "signal_detector": "Detektor vid trafiksignal", "ped_bike_counter": "Räknare för gående och cyklande",
        "air": "Luft", "noise": "Buller", "weather": "Väder", "water": "Vatten", "soil": "Mark",
        "parking": "Parkering", "gateway": "Mottagare", "other": "Annat",
        "light.lamp.state": "om lampan lyser", "light.lamp.power": "lampans effekt",
        "light.lamp.dim": "lampans ljusnivå", "light.lamp.energy": "lampans energi",
        "light.ambient.illuminance": "ljuset på platsen", "waste.fill_level": "hur full korgen är",
        "traffic.flow": "trafikflöde", "traffic.flow.vehicle": "antal fordon", "traffic.speed": "hastighet",
        "traffic.flow.bicycle": "antal cyklar", "traffic.flow.pedestrian": "antal gående",
        "traffic.signal.detector": "fordon vid signalen", "parking.occupancy": "upptagna platser",
        "presence.count": "antal närvarande", "air.temperature": "lufttemperatur", "air.humidity": "luftfuktighet",
        "air.no2": "kvävedioxid", "air.pm10": "partiklar PM10", "air.pm2_5": "partiklar PM2,5",
        "noise.level": "ljudnivå", "water.level": "vattenstånd", "water.temperature": "vattentemperatur",
        "soil.moisture": "markfukt", "road.surface_temperature": "vägytans temperatur",
        "device.temperature": "enhetens temperatur", "device.battery": "enhetens batteri",
        "loop": "slinga i gatan", "radar": "radar", "lidar": "lidar", "camera": "kamera",
        "anpr": "läsning av nummerskyltar", "audio": "mikrofon", "wifi_sniff": "mottagning av telefoners wifi",
        "bt_sniff": "mottagning av telefoners Bluetooth", "pir": "rörelsevakt", "thermal": "värmekamera",
        "ultrasonic": "ultraljud", "photo": "ljusmätare", "power_meter": "elmätare", "thermometer": "termometer",
        "chem": "gas- eller partikelgivare",
    },
    "en": {
        "title": "Connected devices in {city}", "device": "{id} in {city}", "all": "All devices",
        "count": "{n} devices", "count one": "1 device", "as data": "All of it as data: {geojson}",
        "lead": "What measures and controls in streets and squares, who answers for it, what it measures, "
        "and whether it may be about people.",
        "feedback": "Questions and opinions:", "where": "Where", "none": "no", "id": "Device", "kind": "Kind",
        "owner": "Responsible",
        "measures": "Measures", "sensors": "Sensors", "personal_data": "Personal data", "purpose": "Purpose",
        "until": "Planned until", "district": "District", "address": "Address", "position": "Position on the map",
        "more": "More", "contact": "Contact", "streetlight_controller": "Street light", "waste_level": "Level of a bin",
        "traffic_counter": "Traffic counter", "signal_detector": "Detector of a traffic signal",
        "ped_bike_counter": "Counter of people on foot and bicycles", "air": "Air", "noise": "Noise",
        "weather": "Weather", "water": "Water", "soil": "Soil", "parking": "Parking", "gateway": "Receiver",
        "other": "Other",
        "light.lamp.state": "whether the lamp is lit", "light.lamp.power": "the lamp's power",
        "light.lamp.dim": "the lamp's level", "light.lamp.energy": "the lamp's energy",
        "light.ambient.illuminance": "light at the place", "waste.fill_level": "how full the bin is",
        "traffic.flow": "traffic flow", "traffic.flow.vehicle": "number of vehicles", "traffic.speed": "speed",
        "traffic.flow.bicycle": "number of bicycles", "traffic.flow.pedestrian": "number of people on foot",
        "traffic.signal.detector": "vehicles at the signal", "parking.occupancy": "places taken",
        "presence.count": "number of people present", "air.temperature": "air temperature",
        "air.humidity": "air humidity", "air.no2": "nitrogen dioxide", "air.pm10": "particles PM10",
        "air.pm2_5": "particles PM2.5", "noise.level": "sound level", "water.level": "water level",
        "water.temperature": "water temperature", "soil.moisture": "soil moisture",
        "road.surface_temperature": "temperature of the road", "device.temperature": "the device's temperature",
        "device.battery": "the device's battery",
        "loop": "loop in the street", "anpr": "reading of number plates", "audio": "microphone",
        "wifi_sniff": "reception of phones' Wi-Fi", "bt_sniff": "reception of phones' Bluetooth",
        "pir": "motion sensor", "thermal": "thermal camera", "ultrasonic": "ultrasound", "photo": "light meter",
        "power_meter": "power meter", "chem": "gas or particle sensor",
    },
}  # fmt: skip


def word(name: str, language: Language) -> str:
    """What a name of ours is called; the name itself where there is no word."""
    return WORDS[language].get(name, name)
