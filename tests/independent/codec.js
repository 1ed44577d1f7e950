// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
//
// A LoRaWAN codec of other hands (lora-packet) behind JSON: a list of requests on stdin, a list of answers on stdout.
// All bytes are hex, in the order that people write them; fcnt is the whole 32-bit counter.
"use strict";

const lora = require("lora-packet");

const hex = (text) => (text === undefined ? undefined : Buffer.from(text, "hex"));
const upperHalf = (fcnt) => Buffer.from([(fcnt >>> 16) & 0xff, fcnt >>> 24]);

function decodeData(packet, { nwk_skey, app_skey, fcnt }) {
  return {
    dev_addr: packet.DevAddr.toString("hex"),
    confirmed: packet.isConfirmed(),
    fcnt16: packet.getFCnt(),
    adr: packet.getFCtrlADR(),
    ack: packet.getFCtrlACK(),
    adr_ack_req: packet.getFCtrlADRACKReq(),
    f_pending: packet.getFCtrlFPending(),
    fopts: packet.FOpts.toString("hex"),
    fport: packet.getFPort(),
    payload: lora.decrypt(packet, hex(app_skey), hex(nwk_skey), upperHalf(fcnt)).toString("hex"),
    mic_ok: lora.verifyMIC(packet, hex(nwk_skey), undefined, upperHalf(fcnt)),
  };
}

function decode(request) {
  let packet = lora.fromWire(hex(request.phy));
  const found = { type: packet.getMType(), dir: packet.getDir() };
  if (packet.isDataMessage()) return { ...found, ...decodeData(packet, request) };
  const appKey = hex(request.app_key);
  if (packet.isJoinAcceptMessage()) packet = lora.fromWire(lora.decryptJoinAccept(packet, appKey));
  const names = packet.isJoinAcceptMessage()
    ? { join_nonce: "AppNonce", net_id: "NetID", dev_addr: "DevAddr", dl_settings: "DLSettings", rx_delay: "RxDelay", cf_list: "CFList" }
    : { join_eui: "AppEUI", dev_eui: "DevEUI", dev_nonce: "DevNonce" };
  for (const [name, theirs] of Object.entries(names)) found[name] = packet[theirs].toString("hex");
  return { ...found, mic_ok: lora.verifyMIC(packet, undefined, appKey) };
}

function keys({ app_key, net_id, join_nonce, dev_nonce }) {
  const made = lora.generateSessionKeys10(hex(app_key), hex(net_id), hex(join_nonce), hex(dev_nonce));
  return { nwk_skey: made.NwkSKey.toString("hex"), app_skey: made.AppSKey.toString("hex") };
}

function encodeData({ type, dev_addr, fcnt, fctrl, fopts, fport, payload, nwk_skey, app_skey }) {
  const fields = { MType: type, DevAddr: hex(dev_addr), FCnt: fcnt & 0xffff, FCtrl: fctrl, FOpts: hex(fopts) };
  if (fport !== null) fields.FPort = fport;
  fields.payload = hex(payload);
  const packet = lora.fromFields(fields, hex(app_skey), hex(nwk_skey), undefined, upperHalf(fcnt));
  lora.recalculateMIC(packet, hex(nwk_skey), undefined, upperHalf(fcnt)); // it leaves out frames without an FPort
  return { phy: packet.getPHYPayload().toString("hex") };
}

function encodeJoin({ type, app_key, fields }) {
  const theirs = { MType: type };
  for (const [name, value] of Object.entries(fields)) theirs[name] = hex(value);
  return { phy: lora.fromFields(theirs, undefined, undefined, hex(app_key)).getPHYPayload().toString("hex") };
}

const operations = { decode, keys, encode_data: encodeData, encode_join: encodeJoin };
const requests = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(requests.map((request) => operations[request.op](request))));
