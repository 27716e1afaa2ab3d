"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 4", "2 4", "9 3 2 3", "14 4", "4 2"];
const SIZE = { width: 640, height: 400, left: 52, right: 12, top: 14, bottom: 44 };
const state = { picture: "", measure: data.measures[0].key, tested: data.tested[0], hidden: new Set() };

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "circle", "line", "text"].includes(name);
  const node = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const percent = (x) => (x < 0 ? "\u2212" : "+") + Math.abs(x).toFixed(1) + " %";
const kilo = (bytes) => bytes.toLocaleString("en") + " bytes";
const measureOf = (key) => data.measures.find((one) => one.key === key);

// A family (AVIF, HEIC ...) has one colour; its variants differ in their dashes.
const styles = {};
(() => {
  const families = [];
  for (const name of data.codecs.map((codec) => codec.name)) {
    if (data.tested.includes(name)) {
      styles[name] = { color: "var(--accent)", dash: DASHES[data.tested.indexOf(name)] };
      continue;
    }
    const family = name.replace(/ (4:4:4|PSNR|slow).*/, "");
    let known = families.find((one) => one.family === family);
    if (!known) families.push((known = { family, members: 0 }));
    styles[name] = { color: `var(--c${families.indexOf(known) % 7})`, dash: DASHES[known.members++ % 6] };
  }
})();

function swatch(name) {
  const line = element("line", { x1: 1, y1: 4, x2: 21, y2: 4, "stroke-width": 2.5, "stroke-dasharray": styles[name].dash });
  line.style.stroke = styles[name].color;
  return element("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, line);
}

// Points of one codec: of the chosen picture, or means over all pictures at each setting.
function points(name) {
  const key = data.measures.findIndex((one) => one.key === state.measure);
  const rows = state.picture === "" ? data.means[name] : data.pictures[state.picture].points[name];
  return rows.map((row) => ({ name, setting: row[0], bpp: row[1], value: row[2 + key] }))
    .filter((point) => point.value !== null).sort((a, b) => a.bpp - b.bpp);
}

function drawTable() {
  const rates = data.bd[state.tested][state.measure];
  const rows = Object.entries(rates).map(([anchor, rate]) => {
    const value = state.picture === "" ? rate.mean : rate.per_picture[data.pictures[state.picture].name] ?? null;
    return { anchor, value, count: rate.pictures, left: rate.too_little_overlap };
  });
  const most = Math.max(10, ...rows.map((row) => Math.abs(row.value ?? 0)));
  const body = element("tbody");
  for (const { anchor, value, count, left } of rows) {
    const mark = element("i");
    mark.style.background = styles[anchor].color;
    const head = element("th", { scope: "row" }, mark, anchor);
    const figure = element("td", { class: "figure " + (value === null ? "" : value < 0 ? "good" : "bad") }, value === null ? "\u2013" : percent(value));
    if (state.picture === "") figure.title = `${count} pictures` + (left ? `, ${left} left out` : "");
    const bar = element("div");
    if (value !== null) {
      const span = element("span", { class: value < 0 ? "better" : "worse" });
      const width = (Math.abs(value) / most) * 50;
      span.style.width = width + "%";
      span.style.left = (value < 0 ? 50 - width : 50) + "%";
      bar.append(span);
    }
    body.append(element("tr", {}, head, figure, element("td", { class: "bar", "aria-hidden": "true" }, bar)));
  }
  const head = element("thead", {}, element("tr", {}, element("th", { scope: "col" }, `${state.tested} against`),
    element("th", { scope: "col", colspan: 2 }, `size at equal ${state.measure}`)));
  $("bd").replaceChildren(head, body);
  const left = rows.filter((row) => row.left).map((row) => `${row.anchor} ${row.left}`);
  $("bd-note").textContent = "BD-rate " + (state.picture === "" ? "a picture, then averaged" : "of this picture") +
    ", where our file has 0.1 to 1 bits per pixel. Negative: " + state.tested + " is smaller." +
    (state.picture === "" && left.length ? ` Pictures left out because the curves hardly meet: ${left.join(", ")}.` : "");
}

function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) found.push(Math.round(t / step) * step);
  return found;
}

let marks = [], current = -1;
function drawChart() {
  SIZE.width = Math.min(Math.max($("chart").clientWidth, 280), 640);  // a phone's chart keeps its letters' size
  SIZE.height = 240 + SIZE.width / 4;
  const shown = data.codecs.map((codec) => codec.name).filter((name) => !state.hidden.has(name));
  const curves = shown.map(points).filter((curve) => curve.length);
  const ours = points(state.tested);
  const widest = Math.min(Math.max(...curves.flat().map((p) => p.bpp), 0.1), Math.max(1.2 * Math.max(...ours.map((p) => p.bpp), 0.1), 0.2));
  const inside = curves.map((curve) => curve.filter((p) => p.bpp <= widest));
  const values = inside.flat().map((p) => p.value);
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (!(high > low)) [low, high] = [low - 1, high + 1];
  const pad = (high - low) * 0.05;
  [low, high] = [low - pad, high + pad];
  const x = (bpp) => SIZE.left + (bpp / widest) * (SIZE.width - SIZE.left - SIZE.right);
  const y = (value) => SIZE.height - SIZE.bottom - ((value - low) / (high - low)) * (SIZE.height - SIZE.top - SIZE.bottom);
  const svg = element("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, tabindex: 0, role: "img",
    "aria-label": `${state.measure} over bits per pixel; arrow keys go through the points` });
  for (const t of ticks(0, widest, SIZE.width / 100)) svg.append(
    element("line", { class: "grid", x1: x(t), x2: x(t), y1: SIZE.top, y2: SIZE.height - SIZE.bottom }),
    element("text", { x: x(t), y: SIZE.height - SIZE.bottom + 18, "text-anchor": "middle" }, String(+t.toFixed(3))));
  for (const t of ticks(low, high, 6)) svg.append(
    element("line", { class: "grid", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y(t), y2: y(t) }),
    element("text", { x: SIZE.left - 8, y: y(t) + 4, "text-anchor": "end" }, String(+t.toFixed(3))));
  svg.append(element("text", { x: (SIZE.left + SIZE.width) / 2, y: SIZE.height - 6, "text-anchor": "middle" }, "bits per pixel"),
    element("text", { x: 14, y: SIZE.height / 2 - 14, "text-anchor": "middle", transform: `rotate(-90 14 ${SIZE.height / 2 - 14})` }, measureOf(state.measure).axis));
  marks = [];
  for (const curve of [...inside].sort((a, b) => (a[0]?.name === state.tested) - (b[0]?.name === state.tested))) {
    if (!curve.length) continue;
    const style = styles[curve[0].name], tested = data.tested.includes(curve[0].name);
    const path = element("path", { class: tested ? "tested" : "", "stroke-dasharray": style.dash,
      d: curve.map((p, i) => `${i ? "L" : "M"}${x(p.bpp).toFixed(1)} ${y(p.value).toFixed(1)}`).join("") });
    path.style.stroke = style.color;
    svg.append(path);
    for (const p of curve) {
      const dot = element("circle", { cx: x(p.bpp), cy: y(p.value), r: tested ? 4 : 2.8 });
      dot.style.fill = style.color;
      svg.append(dot);
      marks.push({ ...p, dot, x: x(p.bpp), y: y(p.value) });
    }
  }
  const tip = element("div", { class: "tip", role: "status", hidden: "" });
  current = -1;
  const show = (index) => {
    if (current >= 0) marks[current].dot.removeAttribute("stroke");
    current = index;
    tip.hidden = index < 0;
    if (index < 0) return;
    const mark = marks[index], scale = svg.clientWidth / SIZE.width;
    mark.dot.setAttribute("stroke", "currentColor");
    tip.replaceChildren(element("b", {}, mark.name), element("br"), `${mark.bpp.toFixed(3)} bpp, ${mark.value.toFixed(2)}${measureOf(state.measure).unit}`, element("br"), `setting ${mark.setting}`);
    const half = tip.offsetWidth / 2 + 2;
    tip.style.left = Math.min(Math.max(mark.x * scale, half), svg.clientWidth - half) + "px";
    tip.style.top = Math.max(mark.y * scale, tip.offsetHeight + 12) + "px";
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), scale = SIZE.width / box.width;
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let best = -1, near = 30 ** 2;
    marks.forEach((m, i) => { const d = (m.x - px) ** 2 + (m.y - py) ** 2; if (d < near) [best, near] = [i, d]; });
    if (best !== current) show(best);
  });
  svg.addEventListener("pointerleave", () => show(-1));
  svg.addEventListener("blur", () => show(-1));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && marks.length) { event.preventDefault(); show((current + step + marks.length) % marks.length); }
    if (event.key === "Escape") show(-1);
  });
  $("chart").replaceChildren(svg, tip);
}

function drawLegend() {
  $("legend").replaceChildren(...data.codecs.map(({ name }) => {
    const button = element("button", { type: "button", "aria-pressed": String(!state.hidden.has(name)) }, swatch(name), name);
    button.addEventListener("click", () => {
      if (!state.hidden.delete(name)) state.hidden.add(name);
      button.setAttribute("aria-pressed", String(!state.hidden.has(name)));
      drawChart();
    });
    return button;
  }));
}

function caption(target, shot, name) {
  const figures = shot.values ? data.measures.map((m, i) => shot.values[i] === null ? null : `${m.key} ${shot.values[i].toFixed(2)}${m.unit}`).filter(Boolean).join(", ") : "";
  const size = shot.size === null ? "" : kilo(shot.size) + (shot.setting === null ? "" : `, setting ${+shot.setting.toFixed(3)}`);
  $(target).replaceChildren(element("b", {}, name), size, element("br"), element("span", {}, figures));
}

function currentShots() {
  const chosen = state.picture === "" ? data.pictures.findIndex((p) => p.shots) : +state.picture;
  return chosen < 0 ? null : data.pictures[chosen];
}

function drawLook() {
  const picture = currentShots();
  $("look").hidden = !data.pictures.some((p) => p.shots);
  if ($("look").hidden) return;
  if (!picture.shots) {
    $("viewport").hidden = true;
    $("left-caption").textContent = $("right-caption").textContent = "";
    $("look-note").textContent = `${picture.name} is not in this page: it holds the first ${data.pictures.filter((p) => p.shots).length} pictures (--shown).`;
    return;
  }
  $("viewport").hidden = false;
  for (const side of ["left", "right"]) {
    const shot = picture.shots[$(side).value];
    $(side + "-image").src = shot.source;
    $(side + "-image").alt = `${picture.name}, ${$(side).value}`;
    caption(side + "-caption", shot, $(side).value);
  }
  const zoom = $("zoom").value, [width, height] = picture.shown;
  $("stage").classList.toggle("zoomed", zoom !== "fit");
  const right = $("right-image");
  right.width = width * (zoom === "fit" ? 1 : +zoom / window.devicePixelRatio);
  right.height = height * (zoom === "fit" ? 1 : +zoom / window.devicePixelRatio);
  $("look-note").textContent = `${picture.name}, ${picture.size[0]} \u00d7 ${picture.size[1]}` +
    (picture.cropped ? `, its middle ${width} \u00d7 ${height} shown` : "") +
    `. Each codec was asked for the bytes of ${data.tested[0]} at setting ${picture.shots[data.tested[0]].setting}; figures are of the whole picture. Drag, or use the arrow keys.`;
}

function slide(share) {
  const value = Math.min(Math.max(share, 0), 1);
  $("slider").value = Math.round(1000 * value);
  $("stage").style.setProperty("--x", 100 * value + "%");
}

function fill(select, names, chosen) {
  $(select).replaceChildren(...names.map((name) => element("option", name === chosen ? { selected: "" } : {}, name)));
}

function drawAll() { drawTable(); drawChart(); drawLook(); }

function begin() {
  $("title").textContent = data.title;
  $("summary").textContent = data.summary;
  $("picture").replaceChildren(element("option", { value: "" }, `All ${data.pictures.length} pictures`),
    ...data.pictures.map((picture, i) => element("option", { value: i }, picture.name)));
  for (const { key } of data.measures) {
    const input = element("input", { type: "radio", name: "measure", value: key });
    input.checked = key === state.measure;
    input.addEventListener("change", () => { state.measure = key; drawTable(); drawChart(); });
    $("measures").append(element("label", {}, input, key));
  }
  fill("tested", data.tested, state.tested);
  $("tested-label").hidden = data.tested.length < 2;
  $("tested").addEventListener("change", (event) => { state.tested = event.target.value; drawAll(); });
  const shown = data.pictures.find((picture) => picture.shots);
  if (shown) {
    const names = Object.keys(shown.shots), anchor = names.find((name) => name !== "Original" && !data.tested.includes(name));
    fill("left", names, data.tested[0]);
    fill("right", names, anchor ?? "Original");
  }
  $("picture").addEventListener("change", (event) => { state.picture = event.target.value; drawAll(); });
  for (const [id, step] of [["previous", -1], ["next", 1]]) $(id).addEventListener("click", () => {
    const select = $("picture");
    select.selectedIndex = (select.selectedIndex + step + select.options.length) % select.options.length;
    state.picture = select.value;
    drawAll();
  });
  for (const id of ["left", "right", "zoom"]) $(id).addEventListener("change", drawLook);
  const stage = $("stage");
  const follow = (event) => { const box = stage.getBoundingClientRect(); slide((event.clientX - box.left) / box.width); };
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    $("slider").focus({ preventScroll: true });
    follow(event);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) follow(event); });
  $("slider").addEventListener("input", () => slide($("slider").value / 1000));
  $("slider").addEventListener("keydown", (event) => {  // arrow keys in steps that can be seen
    const step = { ArrowRight: 20, ArrowUp: 20, ArrowLeft: -20, ArrowDown: -20 }[event.key];
    if (step) { event.preventDefault(); slide((+$("slider").value + step) / 1000); }
  });
  for (const { name, description } of data.codecs) $("settings").append(element("dt", {}, name), element("dd", {}, description));
  const head = ["picture", "codec", "setting", "bpp", ...data.measures.map((m) => m.key)];
  const rows = data.pictures.flatMap((p) => Object.entries(p.points).flatMap(([codec, list]) => list.map((row) =>
    [p.name, codec, row[0], row[1].toFixed(3), ...row.slice(2).map((v) => v === null ? "\u2013" : v.toFixed(2))])));
  document.querySelector("details").addEventListener("toggle", () => {
    if ($("points").rows.length) return;
    $("points").append(element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((text) => element("td", {}, String(text)))))));
  });
  window.addEventListener("resize", () => { if (Math.abs($("chart").clientWidth - SIZE.width) > 8) drawChart(); });
  drawLegend();
  drawAll();
}
begin();
