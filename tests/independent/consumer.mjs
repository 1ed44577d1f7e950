// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
//
// A consumer of other hands: what docs/consuming.md and the standards say, with the CBOR codec cborg and Node's own
// cryptography, and nothing of ours. `node consumer.mjs CA.pem FOLDER` reads certificates (*.pem) and messages (*.cose,
// in the order of their names) and prints JSON: readings, what is missing of each stream, what was refused and why.
import { createHash, verify, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decode, encode, Tagged } from "cborg";

const [ALG, CONTENT_TYPE, CLAIMS, X5T, STREAM, LOST, ENDED] = [1, 3, 15, 34, -65537, -65538, -65539];
const [ED25519, ESP256, SENML_CBOR] = [-19, -9, 112];
const [BN, BT, BU, N, U, V, VS, VB, T, VD] = [-2, -3, -4, 0, 1, 2, 3, 4, 6, 8];
const cbor = (bytes) => decode(bytes, { useMaps: true, rejectDuplicateMapKeys: true, tags: Tagged.preserve(18) });
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

function refuse(why) {
  throw new Error(why);
}

function certificates(folder, authority) {
  const known = new Map();
  for (const name of readdirSync(folder).filter((each) => each.endsWith(".pem"))) {
    const certificate = new X509Certificate(readFileSync(join(folder, name)));
    if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey) || certificate.ca) continue;
    known.set(sha256(certificate.raw), certificate);
  }
  return known;
}

function checkSignature(algorithm, toBeSigned, certificate, signature) {
  const key = certificate.publicKey;
  const kind = key.asymmetricKeyType;
  if (algorithm === ED25519 && kind === "ed25519") return verify(null, toBeSigned, key, signature);
  if (algorithm === ESP256 && kind === "ec") {
    return verify("sha256", toBeSigned, { key, dsaEncoding: "ieee-p1363" }, signature);
  }
  return refuse("algorithm");
}

function open(message, known) {
  const tagged = cbor(message);
  if (!(tagged instanceof Tagged) || tagged.tag !== 18) refuse("no COSE_Sign1");
  const [protectedBytes, , payload, signature] = tagged.value;
  const headers = cbor(protectedBytes);
  const claims = headers.get(CLAIMS);
  const [issuer, issuedAt] = [claims.get(1), claims.get(6)];
  const certificate = known.get(hex(headers.get(X5T)[1])) ?? refuse("unknown certificate");
  if (!certificate.subjectAltName.split(", ").includes(`URI:${issuer}`)) refuse("certificate of another gateway");
  const moment = new Date(issuedAt * 1000);
  if (moment < new Date(certificate.validFrom) || moment > new Date(certificate.validTo)) refuse("certificate not valid");
  const toBeSigned = encode(["Signature1", protectedBytes, new Uint8Array(), payload]);
  if (!checkSignature(headers.get(ALG), toBeSigned, certificate, signature)) refuse("signature");
  const [stream, first, last, previous] = headers.get(STREAM);
  const place = { gateway: issuer, stream: hex(stream), first, last, previous: hex(previous) };
  if (headers.has(LOST)) return { ...place, lost: headers.get(LOST)[1], tail: hex(headers.get(LOST)[0]), readings: [] };
  if (headers.has(ENDED)) return { ...place, ended: headers.get(ENDED), readings: [] };
  if (headers.get(CONTENT_TYPE) !== SENML_CBOR) refuse("content type");
  const readings = senml(cbor(payload)).map((reading, index) => ({ ...reading, record: first + index }));
  if (readings.length !== last - first + 1) refuse("number of readings");
  return { ...place, readings };
}

function senml(records) {
  const readings = [];
  const base = { name: "", time: 0, unit: undefined };
  for (const record of records) {
    base.name = record.get(BN) ?? base.name;
    base.time = record.get(BT) ?? base.time;
    base.unit = record.get(BU) ?? base.unit;
    const [urn, field] = (base.name + (record.get(N) ?? "")).split(/_(.*)/s);
    const data = record.has(VD) ? Buffer.from(record.get(VD)).toString("base64url") : undefined;
    const value = record.get(V) ?? record.get(VB) ?? record.get(VS) ?? data;
    if (field === "seq") {
      const time = base.time + (record.get(T) ?? 0);
      readings.push({ dev_eui: urn.split(":").at(-1), seq: value, time, time_source: "device", values: {}, units: {} });
    } else if (field === "time_source") {
      readings.at(-1).time_source = value;
    } else {
      readings.at(-1).values[field] = value;
      const unit = record.get(U) ?? base.unit;
      if (unit !== undefined) readings.at(-1).units[field] = unit;
    }
  }
  return readings;
}

function chain(streams, envelope, digest) {
  const key = `${envelope.gateway} ${envelope.stream}`;
  if (!streams.has(key)) streams.set(key, new Map());
  const there = streams.get(key).get(envelope.first);
  if (there !== undefined && there.digest !== digest) refuse("forked");
  streams.get(key).set(envelope.first, { ...envelope, digest: envelope.tail ?? digest });
  return there === undefined;
}

function judge(envelopes, end) {
  const missing = [];
  const broken = [];
  let before;
  for (const each of [...envelopes.values()].sort((a, b) => a.first - b.first)) {
    const next = before === undefined ? 1 : before.last + 1;
    if (each.first > next) missing.push([next, each.first - 1]);
    else if (before !== undefined && each.previous !== "" && each.previous !== before.digest) broken.push(each.first);
    before = each;
  }
  if (end > before.last) missing.push([before.last + 1, end]);
  return { last: before.last, missing, broken };
}

const [caFile, folder] = process.argv.slice(2);
const known = certificates(folder, new X509Certificate(readFileSync(caFile)));
const streams = new Map();
const found = { readings: [], refused: [], streams: {} };
for (const name of readdirSync(folder).filter((each) => each.endsWith(".cose")).sort()) {
  const message = readFileSync(join(folder, name));
  try {
    const envelope = open(message, known);
    if (chain(streams, envelope, sha256(message))) found.readings.push(...envelope.readings);
  } catch (error) {
    found.refused.push([name, error.message]);
  }
}
const ends = new Map();
for (const { gateway, ended } of [...streams.values()].flatMap((each) => [...each.values()])) {
  if (ended !== undefined) ends.set(`${gateway} ${hex(ended[0])}`, ended[1]);
}
for (const [key, envelopes] of streams) found.streams[key] = judge(envelopes, ends.get(key));
process.stdout.write(JSON.stringify(found));
