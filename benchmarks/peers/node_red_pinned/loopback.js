// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Node-RED's "udp in" listens on every address of the machine; a measurement shall not be reached from elsewhere.
const dgram = require("dgram");
const bind = dgram.Socket.prototype.bind;
dgram.Socket.prototype.bind = function (port, ready) {
  return bind.call(this, { port, address: "127.0.0.1" }, ready);
};
