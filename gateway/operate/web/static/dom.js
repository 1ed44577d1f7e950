// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Making elements and keeping what is there: text only ever enters the page as text.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Replaces the children only where they differ: focus, selection and a screen reader's place stay where they are.
export function fill(parent, children) {
  children.forEach((child, index) => {
    const old = parent.children[index];
    if (old === undefined) parent.append(child);
    else if (!old.isEqualNode(child)) old.replaceWith(child);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

export function say(element, text, className) {
  if (element.textContent !== text) element.textContent = text;
  if (className !== undefined) element.className = className;
}
