// SPDX-FileCopyrightText: 2026 The Lykta developers
// SPDX-License-Identifier: Apache-2.0
// Returns the page that a browser shows as an SVG picture: boxes, words and drawings where they are. A picture that
// can be read, searched and compared, unlike one of dots.
(() => {
  const space = "http://www.w3.org/2000/svg";
  const size = document.documentElement.getBoundingClientRect();
  const out = document.createElementNS(space, "svg");
  const put = (parent, name, attributes, text) => {
    const made = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return parent.appendChild(made);
  };
  const short = (number) => +number.toFixed(1);
  const seen = (color) => color !== "transparent" && !/, 0\)$/.test(color);

  function box(element, style) {
    const at = element.getBoundingClientRect();
    const line = parseFloat(style.borderTopWidth) > 0 && parseFloat(style.borderLeftWidth) > 0;
    if (at.width < 1 || at.height < 1) return;
    if (seen(style.backgroundColor) || line) {
      put(out, "rect", {
        x: short(at.x), y: short(at.y), width: short(at.width), height: short(at.height), rx: parseFloat(style.borderTopLeftRadius) || null,
        fill: seen(style.backgroundColor) ? style.backgroundColor : "none", stroke: line ? style.borderTopColor : null,
      });
    } else if (parseFloat(style.borderBottomWidth) > 0 || parseFloat(style.borderTopWidth) > 0) {
      const below = parseFloat(style.borderBottomWidth) > 0;
      put(out, "path", { d: `M${short(at.x)} ${short(below ? at.bottom : at.top)}h${short(at.width)}`, stroke: below ? style.borderBottomColor : style.borderTopColor });
    }
  }

  function words(node, style) {
    const range = document.createRange();
    let line = null;
    const flush = () => {
      if (line === null || !line.text.trim()) return;
      const size = parseFloat(style.fontSize);
      put(out, "text", {
        x: short(line.x), y: short(line.bottom - (line.height - size) / 2 - size * 0.2), "font-size": short(size), fill: style.color,
        "font-weight": +style.fontWeight >= 500 ? 600 : null, textLength: short(line.right - line.x), lengthAdjust: "spacingAndGlyphs",
      }, line.text.trim());
    };
    for (let at = 0; at < node.length; at += 1) {
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const where = range.getClientRects()[0];
      if (!where || where.width === 0) continue;
      if (line === null || Math.abs(where.bottom - line.bottom) > 4) {
        flush();
        line = null;
        if (!node.data[at].trim()) continue;
        line = { text: "", x: where.x, bottom: where.bottom, height: where.height, right: where.right };
      }
      line.text += node.data[at];
      if (node.data[at].trim()) line.right = where.right;
    }
    flush();
  }

  function drawing(element) {
    const at = element.getBoundingClientRect();
    const view = element.viewBox.baseVal;
    const [wide, high] = [at.width / view.width, at.height / view.height];
    const group = put(out, "g", { transform: `translate(${short(at.x)} ${short(at.y)}) scale(${wide.toFixed(4)} ${high.toFixed(4)})` });
    for (const shape of element.querySelectorAll("line, polygon, polyline, circle, path, rect, text")) {
      const style = getComputedStyle(shape);
      const copy = shape.cloneNode(true);
      copy.removeAttribute("class");
      copy.removeAttribute("aria-hidden");
      copy.querySelector("title")?.remove();
      copy.setAttribute("fill", style.fill);
      if (style.stroke !== "none") {
        copy.setAttribute("stroke", style.stroke);
        copy.setAttribute("stroke-width", parseFloat(style.strokeWidth));
        if (style.vectorEffect !== "none") copy.setAttribute("vector-effect", style.vectorEffect);
      }
      if (shape.tagName === "text") for (const [key, value] of [["font-size", style.fontSize], ["paint-order", "stroke"]]) copy.setAttribute(key, value);
      group.append(copy);
    }
  }

  function image(element) {
    const asked = new XMLHttpRequest();
    asked.open("GET", element.src, false); // the page's own, and small
    asked.send();
    const at = element.getBoundingClientRect();
    const drawn = document.importNode(new DOMParser().parseFromString(asked.responseText, "image/svg+xml").documentElement, true);
    for (const [key, value] of Object.entries({ x: short(at.x), y: short(at.y), width: short(at.width), height: short(at.height) })) drawn.setAttribute(key, value);
    out.append(drawn);
  }

  function walk(element) {
    const style = getComputedStyle(element);
    if (style.display === "none" || style.visibility === "hidden") return;
    if (element.classList.contains("skip")) return;
    if (element.tagName === "IMG") return void image(element);
    if (element.tagName === "svg") return void drawing(element);
    if (element !== document.body) box(element, style);
    const before = getComputedStyle(element, "::before");
    if (element.matches(".state")) {
      const at = element.getBoundingClientRect();
      put(out, "text", { x: short(at.x), y: short(at.y + parseFloat(style.fontSize) * 1.1), "font-size": short(parseFloat(style.fontSize)), fill: before.color }, before.content.replaceAll('"', ""));
    }
    for (const child of element.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) words(child, style);
      else if (child.nodeType === Node.ELEMENT_NODE) walk(child);
    }
  }

  const [width, height] = [Math.ceil(size.width), Math.ceil(size.height)];
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "font-family": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" })) out.setAttribute(key, value);
  put(out, "title", {}, `${document.title}: the status page of a gateway`);
  put(out, "rect", { width, height, fill: getComputedStyle(document.body).backgroundColor });
  walk(document.body);
  return new XMLSerializer().serializeToString(out).replaceAll("><", ">\n<").replace(/\n(?=<\/(text|title)>)/g, "");
})()
