// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Small curves, bars and a plain map, as SVG.

import { draw, make } from "./dom.js";
import { age, plain, rate } from "./words.js";

const WIDTH = 300;
const HEIGHT = 60;
const MOST_NAMES = 15; // more would hide each other

export function curve(title, unit, values, everySeconds, spread) {
  const latest = values.at(-1) ?? 0;
  const top = Math.max(...values, 1e-9);
  const step = WIDTH / Math.max(1, spread - 1);
  const first = WIDTH - step * (values.length - 1);
  const points = values.map((value, index) => `${(first + index * step).toFixed(1)},${(HEIGHT - (value / top) * (HEIGHT - 6)).toFixed(1)}`);
  const label = `${title}: now ${rate(latest)}${unit}, highest ${rate(Math.max(...values, 0))}${unit} in ${age(values.length * everySeconds)}`;
  const shape = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    draw("line", { class: "axis", x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT }));
  if (points.length > 1) {
    shape.append(
      draw("polygon", { class: "under", points: `${first.toFixed(1)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}` }),
      draw("polyline", { class: "curve", points: points.join(" ") }),
    );
  }
  return make("figure", {}, make("figcaption", {}, make("span", {}, title),
    make("span", { class: "figures" }, make("b", {}, `${rate(latest)}${unit}`), ` now, at most ${rate(Math.max(...values, 0))}`)), shape);
}

export function bar(share, label, high = share > 0.8) {
  const width = Math.min(100, Math.max(share > 0 ? 1 : 0, 100 * share)).toFixed(1);
  return make("div", { class: high ? "bar high" : "bar", role: "img", "aria-label": label },
    draw("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("rect", { x: 0, y: 0, width, height: 1 })));
}

// Places on a plain grid: equirectangular around their middle, which is true enough for one city. A narrow one, for
// phones, has half the width, so that its marks and names are twice as large beside it.
export function map(places, narrow) {
  const wide = narrow ? 500 : 1000;
  const high = 400;
  const middle = places.reduce((sum, place) => sum + place.latitude, 0) / places.length;
  const squeeze = Math.cos((middle * Math.PI) / 180);
  const xs = places.map((place) => place.longitude * squeeze);
  const ys = places.map((place) => -place.latitude);
  const size = Math.max(Math.max(...xs) - Math.min(...xs), ((Math.max(...ys) - Math.min(...ys)) * wide) / high, 1e-4) * 1.25;
  const scale = wide / size;
  const centre = [(Math.max(...xs) + Math.min(...xs)) / 2, (Math.max(...ys) + Math.min(...ys)) / 2];
  const metres = roundDown((size * 111195) / (narrow ? 4 : 6));
  const square = (metres / (size * 111195)) * wide;
  const lines = [];
  for (let at = square; at < wide; at += square) lines.push(draw("line", { class: "grid", x1: at, y1: 0, x2: at, y2: high }));
  for (let at = square; at < high; at += square) lines.push(draw("line", { class: "grid", x1: 0, y1: at, x2: wide, y2: at }));
  const spots = places.map((place, index) =>
    ({ place, x: wide / 2 + (xs[index] - centre[0]) * scale, y: high / 2 + (ys[index] - centre[1]) * scale }));
  const marks = spots.map((spot) => mark(spot.place, spot.x, spot.y));
  const names = places.length > MOST_NAMES ? [] : named(spots, wide, high, narrow ? 17 : 13);
  const what = `Map: ${places.filter((place) => !place.isGateway).length} devices and ${places.filter((place) => place.isGateway).length} gateways`;
  const scaleText = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
  const nameless = names.length > 0 && names.length < places.filter((place) => !place.isGateway).length ? " Names that have no room here are in the list." : "";
  const late = places.some((place) => place.late) ? " Rings are devices that were not heard for an hour." : "";
  const shape = draw("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": `${plain(what)}; the list below says the same.` }, ...lines, ...names, ...marks);
  return make("figure", {}, shape, make("figcaption", {}, `One square is ${scaleText} wide. Triangles are packet forwarders.${late}${nameless}`));
}

// The names of devices, each on the first side of its mark where it hides no other mark and no other name. A name for
// which there is none is left out: the mark says it to who points at it, and the list below to everybody.
function named(spots, wide, high, letter) {
  const taken = spots.map(({ x, y }) => ({ left: x - 11, right: x + 11, top: y - 11, bottom: y + 9 }));
  return spots.filter((spot) => !spot.place.isGateway).flatMap((spot) => {
    const length = spot.place.name.length * letter * 0.62;
    const above = -12 - letter / 4;
    const below = letter + 11;
    const sides = [[12, 4, "start", 0], [-12, 4, "end", -1], [0, above, "middle", -0.5], [0, below, "middle", -0.5],
      [-8, above, "start", 0], [-8, below, "start", 0], [8, above, "end", -1], [8, below, "end", -1]]
      .map(([right, down, anchor, share]) => {
        const left = spot.x + right + share * length;
        const y = spot.y + down;
        return { x: spot.x + right, y, anchor, left, right: left + length, top: y - 0.8 * letter, bottom: y + 0.25 * letter };
      });
    const inside = sides.filter((side) => side.left >= 0 && side.right <= wide && side.top >= 0 && side.bottom <= high);
    const side = inside.find((one) => !taken.some((other) => meets(one, other)));
    if (side === undefined) return [];
    taken.push(side);
    return draw("text", { x: side.x.toFixed(1), y: side.y.toFixed(1), "text-anchor": side.anchor, "aria-hidden": "true" }, spot.place.name);
  });
}

function meets(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

function mark(place, x, y) {
  const title = draw("title", {}, `${place.name}, ${place.says}`);
  if (place.isGateway) return draw("path", { class: "gateway", d: `M${x.toFixed(1)} ${y.toFixed(1)}m0 -10l9 16h-18z` }, title);
  return draw("circle", { class: place.late ? "device late" : "device", cx: x.toFixed(1), cy: y.toFixed(1), r: 7 }, title);
}

// 1, 2 or 5 with zeros behind it: a scale that can be read.
function roundDown(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [5, 2, 1].find((digit) => digit * power <= number) * power;
}
