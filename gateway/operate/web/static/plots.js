// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Small curves, bars and a plain map, as SVG.

import { draw, make } from "./dom.js";
import { age, plain, rate } from "./words.js";

const WIDTH = 300;
const HEIGHT = 60;

export function curve(title, unit, values, everySeconds, spread) {
  const latest = values.at(-1) ?? 0;
  const top = Math.max(...values, 1e-9);
  const step = WIDTH / Math.max(1, spread - 1);
  const first = WIDTH - step * (values.length - 1);
  const points = values.map((value, index) => `${(first + index * step).toFixed(1)},${(HEIGHT - (value / top) * (HEIGHT - 6)).toFixed(1)}`);
  const label = `${title}: now ${rate(latest)} ${unit}, highest ${rate(Math.max(...values, 0))} ${unit} in ${age(values.length * everySeconds)}`;
  const shape = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    draw("line", { class: "axis", x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT }));
  if (points.length > 1) {
    shape.append(
      draw("polygon", { class: "under", points: `${first.toFixed(1)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}` }),
      draw("polyline", { class: "curve", points: points.join(" ") }),
    );
  }
  return make("figure", {}, make("figcaption", {}, make("span", {}, title), make("b", {}, `${rate(latest)} ${unit}`)), shape);
}

export function bar(share, label, high = share > 0.8) {
  const width = Math.min(100, Math.max(share > 0 ? 1 : 0, 100 * share)).toFixed(1);
  return make("div", { class: high ? "bar high" : "bar", role: "img", "aria-label": label },
    draw("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("rect", { x: 0, y: 0, width, height: 1 })));
}

// Places on a plain grid: equirectangular around their middle, which is true enough for one city.
export function map(places) {
  const middle = places.reduce((sum, place) => sum + place.latitude, 0) / places.length;
  const squeeze = Math.cos((middle * Math.PI) / 180);
  const xs = places.map((place) => place.longitude * squeeze);
  const ys = places.map((place) => -place.latitude);
  const size = Math.max(Math.max(...xs) - Math.min(...xs), (Math.max(...ys) - Math.min(...ys)) * 2.5, 1e-4) * 1.25;
  const scale = 1000 / size;
  const centre = [(Math.max(...xs) + Math.min(...xs)) / 2, (Math.max(...ys) + Math.min(...ys)) / 2];
  const x = (place, index) => (500 + (xs[index] - centre[0]) * scale).toFixed(1);
  const y = (place, index) => (200 + (ys[index] - centre[1]) * scale).toFixed(1);
  const metres = roundDown((size * 111195) / 6);
  const square = (metres / (size * 111195)) * 1000;
  const lines = [];
  for (let at = square; at < 1000; at += square) lines.push(draw("line", { class: "grid", x1: at, y1: 0, x2: at, y2: 400 }));
  for (let at = square; at < 400; at += square) lines.push(draw("line", { class: "grid", x1: 0, y1: at, x2: 1000, y2: at }));
  const dots = places.map((place, index) => {
    const title = draw("title", {}, `${place.name}, ${place.says}`);
    if (place.isGateway) {
      return draw("path", { class: "gateway", d: `M${x(place, index)} ${y(place, index)}m0 -10l9 16h-18z` }, title);
    }
    return draw("circle", { class: place.late ? "device late" : "device", cx: x(place, index), cy: y(place, index), r: 7 }, title);
  });
  const what = `Map: ${places.filter((place) => !place.isGateway).length} devices and ${places.filter((place) => place.isGateway).length} gateways`;
  const scaleText = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
  const shape = draw("svg", { viewBox: "0 0 1000 400", role: "img", "aria-label": `${plain(what)}; the list below says the same.` }, ...lines, ...dots);
  return make("figure", {}, shape, make("figcaption", {}, `One square is ${scaleText} wide. Triangles are packet forwarders.`));
}

// 1, 2 or 5 with zeros behind it: a scale that can be read.
function roundDown(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [5, 2, 1].find((digit) => digit * power <= number) * power;
}
