// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Numbers as people say them.

const SUFFIXES = [
  ["_dbm", "dBm"], ["_db", "dB"], ["_pct", "%"], ["_wh", "Wh"], ["_kwh", "kWh"], ["_lx", "lx"], ["_lux", "lx"],
  ["_mv", "mV"], ["_ma", "mA"], ["_cm", "cm"], ["_mm", "mm"], ["_kmh", "km/h"], ["_km_h", "km/h"], ["_hz", "Hz"],
  ["_deg", "°"], ["_w", "W"], ["_v", "V"], ["_a", "A"], ["_c", "°C"], ["_s", "s"],
];

export const count = (number) => Math.round(number).toLocaleString("en-GB").replaceAll(",", "\u202f");

export function age(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function bytes(number) {
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (number >= size) return `${(number / size).toFixed(number < 10 * size ? 1 : 0)} ${unit}`;
  }
  return `${number} B`;
}

export const rate = (perSecond) => (perSecond >= 10 ? count(perSecond) : perSecond.toFixed(perSecond >= 1 ? 1 : 2));

export const plain = (name) => name.replaceAll("_", " ");

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

// A field of a kind, its unit taken from its name: power_w 60.2 is "power 60.2 W".
export function field(name, value) {
  if (typeof value === "boolean") return `${plain(name)}: ${value ? "yes" : "no"}`;
  const found = SUFFIXES.find(([suffix]) => name.endsWith(suffix));
  const number = Number.isInteger(value) ? count(value) : value.toFixed(1);
  return found ? `${plain(name.slice(0, -found[0].length))} ${number} ${found[1]}` : `${plain(name)} ${number}`;
}
