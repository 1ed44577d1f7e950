// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// The status page: shows what the gateway's event stream says, and says so when nothing comes any more.

import { byId, fill, make, say } from "./dom.js";
import { bar, curve, map } from "./plots.js";
import { age, bytes, count, field, plain, plural } from "./words.js";

const SILENT_MS = 8000;
const LATE_S = 3600;
const SHOWN_FIELDS = 6;
const WAITED_LONG_S = 900; // health.py calls it an error then
const NARROW = matchMedia("(max-width: 40rem)");
let heardAt = 0;

function verdict(found) {
  const errors = found.problems.filter((problem) => problem.severity === "error").length;
  const others = found.problems.length - errors;
  if (!found.ready) return ["This gateway takes no readings", "bad"];
  const soon = others ? `, ${count(others)} soon` : "";
  if (errors) return [`Readings are taken; ${plural(errors, "thing needs", "things need")} a person now${soon}`, "bad"];
  if (others) return [`Readings are taken; ${plural(others, "thing needs", "things need")} a person soon`, "warn"];
  return ["All is well", "good"];
}

function showHead(found) {
  say(byId("eui"), found.gateway);
  say(byId("verdict"), ...verdict(found));
  const certificate = new Date(found.certificate.not_after * 1000).toISOString().slice(0, 10);
  say(byId("facts"), `Version ${found.version}, up ${age(found.uptime_s)}, certificate until ${certificate}`);
  document.title = `${verdict(found)[0]} · Lykta`;
}

function showProblems(found) {
  byId("problems").hidden = found.problems.length === 0;
  fill(byId("problem-list"), found.problems.map((problem) =>
    make("li", { class: `problem ${problem.severity}` },
      make("strong", {}, problem.what), make("p", {}, problem.why), make("p", {}, `Next: ${problem.next_step}.`))));
}

function step(name, value, note, stuck = false) {
  return make("li", { class: stuck ? "stuck" : null },
    make("div", { class: "name" }, name), make("div", { class: "value" }, value), make("div", { class: "note" }, note));
}

function showPath(found) {
  const { frames = {}, readings = {}, refused = {} } = found.counters;
  const waiting = found.platforms.reduce((sum, platform) => sum + platform.waiting_envelopes, 0);
  const oldest = Math.max(0, ...found.platforms.map((platform) => platform.oldest_waiting_s ?? 0));
  const stuck = new Set(found.stages.filter((stage) => stage.stuck).map((stage) => stage.name));
  const open = found.links.filter((link) => link.open !== false).length;
  fill(byId("path"), [
    step("Links", `${open} of ${found.links.length}`, `open; ${plural(frames.heard ?? 0, "frame")} heard`, open < found.links.length),
    step("Queue", count(found.queue.frames), `of ${count(found.queue.limit)} places taken`, stuck.has("event loop")),
    step("Refused", count(Object.values(refused).reduce((sum, number) => sum + number, 0)), "frames since the start"),
    step("Stored", count(readings.new ?? 0), `readings; ${plural(frames.receipts ?? 0, "receipt")} given`, stuck.has("intake and disk")),
    step("Outbox", bytes(found.outbox.used_bytes), `of ${bytes(found.outbox.max_bytes)} in use`),
    step("Waiting", count(waiting), waiting ? `${waiting === 1 ? "envelope" : "envelopes"}, ${oldest < 2 ? "stored just now" : `the oldest for ${age(oldest)}`}` : "everything was delivered", found.platforms.some(waitsLong)),
  ]);
}

function showPlots(found) {
  const { every_s: every, frames_per_s: frames, readings_per_s: readings, queued_frames: queued } = found.history;
  fill(byId("plots"), [
    curve("Frames heard", " /s", frames, every, 180),
    curve("Readings stored", " /s", readings, every, 180),
    curve("In the queue", "", queued, every, 180),
  ]);
}

const state = (good, yes, no, level = "bad") => make("span", { class: `state ${good ? "good" : level}` }, good ? yes : no);

function showLinks(found) {
  fill(byId("links"), found.links.map((link) => {
    const gateways = (link.gateways ?? []).map((gateway) =>
      make("div", { class: "head" }, make("span", {}, gateway.eui),
        state(!gateway.away, `heard ${gateway.heard_s === null ? "" : `${age(gateway.heard_s)} ago, `}${plural(gateway.uplinks, "frame")}`,
          gateway.heard_s === null ? "never heard" : `away for ${age(gateway.heard_s)}`, "warn")));
    return make("li", {},
      make("div", { class: "head" }, make("b", {}, `${link.name}`), state(link.open !== false, "open", "not open")),
      make("p", { class: "quiet" }, `${link.type}, ${link.at ?? ""}`),
      gateways.length ? make("div", { class: "inner" }, ...gateways) : null);
  }));
}

const waitsLong = (platform) => !platform.connected && (platform.oldest_waiting_s ?? 0) > WAITED_LONG_S;

function showPlatforms(found) {
  fill(byId("platforms"), found.platforms.length ? found.platforms.map((platform) =>
    make("li", {},
      make("div", { class: "head" }, make("b", {}, platform.name), state(platform.connected, "connected", "not connected", waitsLong(platform) ? "bad" : "warn")),
      make("p", { class: "quiet" }, `${platform.type}; ${platform.in_flight} on their way, ` + (platform.waiting_envelopes
        ? `${plural(platform.waiting_envelopes, "envelope")} waiting${platform.oldest_waiting_s > 2 ? `, the oldest for ${age(platform.oldest_waiting_s)}` : ""}`
        : "nothing waits")))) : [make("li", { class: "quiet" }, "None is configured: readings stay in the outbox.")]);
}

function battery(device) {
  if (device.battery === null) return "–";
  return device.battery === "mains" ? "mains" : `${device.battery} %`;
}

function row(device, now) {
  const values = Object.entries(device.values ?? {}).slice(0, SHOWN_FIELDS).map(([name, value]) => field(name, value)).join(", ");
  const measured = device.seq === undefined ? "no reading yet" : `number ${count(device.seq)}, ${age(now - device.time_s)} ago`;
  const signal = device.rssi_dbm === undefined ? "wired" : `${Math.round(device.rssi_dbm)} dBm`;
  const radio = device.rssi_dbm === undefined ? device.link : `SNR ${device.snr_db.toFixed(0)} dB, SF${device.sf}, ${plural(device.gateways, "gateway")}`;
  return make("tr", {},
    make("th", { scope: "row" }, device.name || device.dev_eui, make("small", {}, `${plain(device.kind)} ${device.name ? device.dev_eui : ""}`)),
    make("td", { "data-name": "Heard", class: "short" }, `${age(now - device.heard_at)} ago`),
    make("td", { "data-name": "Last reading", class: "reading" }, values || "–", make("small", {}, measured)),
    make("td", { "data-name": "Signal" }, signal, make("small", {}, radio)),
    make("td", { "data-name": "Battery", class: "short" }, battery(device)),
    make("td", { "data-name": "Stored up to", class: "number" }, count(device.held), device.held_above ? make("small", {}, `and ${device.held_above} above`) : null));
}

function showDevices(found) {
  const few = found.devices.length < found.devices_heard ? `, of which the ${found.devices.length} heard last are shown` : "";
  say(byId("devices-note"), found.devices.length ? `${plural(found.devices_heard, "device")} heard since the start${few}.` : "No device was heard since the start.");
  fill(byId("devices"), found.devices.map((device) => row(device, found.now)));
  const places = found.devices.filter((device) => device.latitude_deg !== null).map((device) => ({
    name: device.name || device.dev_eui, latitude: device.latitude_deg, longitude: device.longitude_deg,
    late: found.now - device.heard_at > LATE_S, says: `heard ${age(found.now - device.heard_at)} ago`,
  }));
  for (const gateway of found.links.flatMap((link) => link.gateways ?? [])) {
    if (gateway.latitude_deg !== null && gateway.longitude_deg !== null) {
      places.push({ name: gateway.eui, latitude: gateway.latitude_deg, longitude: gateway.longitude_deg, isGateway: true, says: "packet forwarder" });
    }
  }
  byId("map").hidden = places.length === 0;
  if (places.length) fill(byId("map"), [map(places, NARROW.matches)]);
}

function gauge(name, text, share, high) {
  return make("li", {}, make("div", { class: "head" }, make("span", {}, name), make("span", {}, text)), bar(share, `${name}: ${text}`, high));
}

function showGauges(found) {
  const duty = found.duty.map((each) => {
    const share = each.used_ms / each.limit_ms;
    const band = `${(each.low_hz / 1e6).toFixed(1)}–${(each.high_hz / 1e6).toFixed(2)} MHz`;
    return gauge(`${each.gateway}, ${band}`, `${(100 * share).toFixed(1)} % of ${age(each.limit_ms / 1000)}`, share);
  });
  fill(byId("duty"), duty.length ? duty : [make("li", { class: "quiet" }, "Nothing was sent by radio.")]);
  const refused = Object.entries(found.counters.refused ?? {}).sort((one, other) => other[1] - one[1]);
  const most = Math.max(1, ...refused.map(([, number]) => number));
  fill(byId("refused"), refused.length
    ? refused.map(([reason, number]) => gauge(plain(reason), count(number), number / most, false))
    : [make("li", { class: "quiet" }, "None.")]);
}

function show(found) {
  heardAt = Date.now();
  for (const part of [showHead, showProblems, showPath, showPlots, showLinks, showPlatforms, showDevices, showGauges]) part(found);
  document.body.dataset.shown = "yes";
}

const events = new EventSource("events");
events.addEventListener("status", (event) => show(JSON.parse(event.data)));
setInterval(() => {
  if (Date.now() - heardAt > SILENT_MS) say(byId("verdict"), "The gateway does not answer", "bad");
}, 1000);
