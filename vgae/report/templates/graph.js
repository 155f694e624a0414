// Map of the nodes, with the links of the selected node.
"use strict";
(() => {
  const { data, unpack, element, colour, isDark, redrawers } = page;
  const graph = data.graph, names = graph.names, count = names.length;
  const $ = (id) => document.getElementById(id);
  const degree = unpack(graph.degree);
  const label = graph.label ? unpack(graph.label) : null;
  const cluster = graph.cluster ? unpack(graph.cluster) : null;
  const side = graph.side ? unpack(graph.side) : null;
  const uncertainty = graph.uncertainty ? unpack(graph.uncertainty) : null;
  const planes = Object.fromEntries(Object.entries(graph.planes).map(([name, flat]) => {
    const xy = unpack(flat);
    return [name, {
      x: Float32Array.from({ length: count }, (_, i) => xy[2 * i]),
      y: Float32Array.from({ length: count }, (_, i) => xy[2 * i + 1]),
    }];
  }));
  const known = neighbours(graph.links, true), proposed = neighbours(graph.proposals, false);
  // Sort known links by score. Proposals are sorted already: by score, which orders ties of probability.
  for (const list of known) list.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  const shownAtFirst = 12; // neighbours in a list
  let chosen = null, singled = null; // a node; a class

  // Return [other, value, whether from the node] lists for each node, in the order of the data.
  function neighbours({ pairs, value }, bothWays) {
    const flat = unpack(pairs), values = unpack(value);
    const lists = Array.from({ length: count }, () => []);
    for (let k = 0; k < values.length; k++) {
      const [u, v] = [flat[2 * k], flat[2 * k + 1]];
      lists[u].push([v, values[k], true]);
      if (bothWays) lists[v].push([u, values[k], false]);
    }
    return lists;
  }

  function links(n) {
    return `${n.toLocaleString("en")} ${n === 1 ? "link" : "links"}`;
  }

  function chance(value) {
    if (!graph.has_probabilities) return value.toFixed(2);
    if (value > 0.999) return "> 99.9 %";
    return value >= 0.001 ? `${(100 * value).toFixed(1)} %` : "< 0.1 %";
  }

  // --- drawing -----------------------------------------------------------------------------
  const tip = $("tip");
  const map = page.dotMap($("map"), { hover: point, choose: (node) => choose(node, { follow: false }) });
  page.map = map;
  map.setOver(over);

  const ramp = () => (isDark() ? ["#3b4a63", "#4fa39a", "#f6e36b"] : ["#b9cbdc", "#4b8aa8", "#16284a"]);
  const classColours = () => (isDark() ? graph.dark_colours : graph.colours);
  const shades = 48;

  // Return a colour of the ramp for a fraction in [0, 1].
  function shade(fraction) {
    const stops = ramp().map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
    const k = Math.min(Math.floor(fraction * (stops.length - 1)), stops.length - 2);
    const rest = fraction * (stops.length - 1) - k;
    return `rgb(${stops[k].map((c, j) => Math.round(c + rest * (stops[k + 1][j] - c))).join(",")})`;
  }

  const columns = graph.columns.map((column) => ({
    ...column, code: column.code && unpack(column.code), value: column.value && unpack(column.value),
  }));
  // Return the chosen column of the nodes, if it is what is coloured.
  function column() {
    const found = /^column-(\d+)$/.exec($("tint").value);
    return found ? columns[Number(found[1])] : null;
  }

  // Return the value of a node in the chosen column as text; empty without one.
  function valueOf(node) {
    const chosen = column();
    if (!chosen) return "";
    if (chosen.code) return `${chosen.name}: ${chosen.names[chosen.code[node]]}`;
    const value = chosen.value[node];
    const text = Number.isNaN(value) ? "unknown" : chosen.is_date ? new Date(864e5 * value).toISOString().slice(0, 10) : String(Number(value.toPrecision(5)));
    return `${chosen.name}: ${text}`;
  }

  // Return the class of each node and the names of the classes, if they are what is coloured.
  function classes() {
    if (column()) return column().code ? [column().code, column().names] : null;
    if ($("tint").value === "side") return [side, graph.side_names];
    if ($("tint").value === "cluster") return [cluster, graph.cluster_names];
    return $("tint").value === "label" ? [label, graph.label_names] : null;
  }

  // Colour and shape of a class; unknown ones, the last, are grey crosses.
  function isUnknown(k) {
    const about = column() ?? ($("tint").value === "label" ? graph : {});
    return about.unknown && k === classes()[1].length - 1;
  }
  function toneOf(k) {
    const colours = classColours();
    return isUnknown(k) ? colour("muted") : colours[k % colours.length];
  }
  const shapeOf = (k) => (isUnknown(k) ? 4 : Math.floor(k / classColours().length) % 5);

  function tint() {
    const shown = classes();
    if (shown) {
      const [of, named] = shown;
      const styles = named.map((_, k) => ({
        fill: toneOf(k), shape: shapeOf(k),
      }));
      map.setPaint(styles, of, singled === null ? null : (i) => of[i] === singled);
      return;
    }
    const values = column() ? column().value : $("tint").value === "degree" ? Float32Array.from(degree, (d) => Math.log1p(d)) : uncertainty;
    const sorted = Float32Array.from(values).filter((v) => !Number.isNaN(v)).sort();
    const [low, high] = [0.01, 0.99].map((fraction) => sorted[Math.floor(fraction * (sorted.length - 1))]);
    const of = Array.from(values, (v) => {
      if (Number.isNaN(v)) return shades;
      const fraction = high > low ? Math.min(Math.max((v - low) / (high - low), 0), 1) : 0;
      return Math.round(fraction * (shades - 1));
    });
    const styles = Array.from({ length: shades }, (_, k) => ({ fill: shade(k / (shades - 1)), shape: 0 }));
    map.setPaint([...styles, { fill: colour("muted"), shape: 4 }], of); // the last one is of missing values
  }

  function draw() {
    const plane = planes[$("plane").value];
    map.setPlaces(plane.x, plane.y);
    tint();
    map.redraw();
    legend();
  }

  // Draw lines, rings and the name of the selected node.
  function over({ pen, across, down, radius }) {
    if (chosen === null) return;
    const line = (j, tone, width) => {
      pen.beginPath();
      pen.moveTo(across(chosen), down(chosen));
      pen.lineTo(across(j), down(j));
      [pen.strokeStyle, pen.lineWidth] = [tone, width];
      pen.stroke();
    };
    const ring = (j, size, tone) => {
      pen.beginPath();
      pen.arc(across(j), down(j), size, 0, 2 * Math.PI);
      [pen.strokeStyle, pen.lineWidth] = [tone, 2];
      pen.stroke();
    };
    // The head of an arrow, short of the dot of its target.
    const head = (from, to, tone) => {
      const [x, y] = [across(to), down(to)], angle = Math.atan2(y - down(from), x - across(from));
      const tip = [x - (radius + 3) * Math.cos(angle), y - (radius + 3) * Math.sin(angle)];
      pen.beginPath();
      pen.moveTo(...tip);
      for (const turn of [-0.4, 0.4]) pen.lineTo(tip[0] - 9 * Math.cos(angle + turn), tip[1] - 9 * Math.sin(angle + turn));
      pen.fillStyle = tone;
      pen.fill();
    };
    for (const [j, , out] of known[chosen]) {
      line(j, colour("muted"), 1);
      if (graph.directed) head(out ? chosen : j, out ? j : chosen, colour("muted"));
    }
    for (const [j, value] of proposed[chosen]) {
      line(j, colour("accent"), graph.has_probabilities ? 1 + 3 * value : 2);
      if (graph.directed) head(chosen, j, colour("accent"));
      ring(j, radius + 2.5, colour("accent"));
    }
    ring(chosen, radius + 4, colour("ink"));
    pen.font = "600 13px system-ui, sans-serif";
    const [left, top] = freePlace(pen.measureText(names[chosen]).width, 16, { pen, across, down, radius });
    // An outline instead of a box, so that the dots beneath stay visible.
    [pen.strokeStyle, pen.lineWidth, pen.lineJoin] = [colour("raised"), 4, "round"];
    pen.strokeText(names[chosen], left, top + 13);
    pen.fillStyle = colour("ink");
    pen.fillText(names[chosen], left, top + 13);
  }

  // Return the left upper corner, above, below or beside the selected node, where a name covers the fewest dots.
  function freePlace(width, height, { pen, across, down, radius }) {
    const [x, y, gap] = [across(chosen), down(chosen), radius + 8];
    const inside = (value, most) => Math.max(4, Math.min(value, most - 4));
    const [right, bottom] = [pen.canvas.clientWidth - width, pen.canvas.clientHeight - height];
    const places = [[x - width / 2, y - gap - height], [x - width / 2, y + gap], [x + gap, y - height / 2], [x - gap - width, y - height / 2]]
      .map(([left, top]) => [inside(left, right), inside(top, bottom)]);
    const covered = ([left, top]) => {
      let dots = left < x + gap && x - gap < left + width && top < y + gap && y - gap < top + height ? count : 0; // its own ring
      for (let i = 0; i < count; i++) {
        const [px, py] = [across(i), down(i)];
        dots += px > left - radius && px < left + width + radius && py > top - radius && py < top + height + radius ? 1 : 0;
      }
      return dots;
    };
    const counts = places.map(covered);
    return places[counts.indexOf(Math.min(...counts))];
  }

  function point(i, px, py) {
    tip.hidden = i < 0;
    if (i < 0) return;
    const rest = [side && graph.side_names[side[i]], label && graph.label_names[label[i]], cluster && graph.cluster_names[cluster[i]], valueOf(i), links(degree[i])].filter(Boolean);
    tip.replaceChildren(element("bdi", {}, names[i]), element("span", {}, rest.join(" · ")));
    tip.style.left = `${Math.min(px + 14, $("map").clientWidth - 190)}px`;
    tip.style.top = `${$("map").offsetTop + py + 14}px`;
  }

  function legend() {
    const place = $("legend");
    place.replaceChildren();
    const shown = classes();
    if (!shown) {
      const what = column() ? column().ends : $("tint").value === "degree" ? ["few links", "many links"] : ["certain", "uncertain"];
      const bar = element("span", { class: "ramp" });
      bar.style.background = `linear-gradient(to right, ${ramp().join(", ")})`;
      place.append(element("span", {}, what[0]), bar, element("span", {}, what[1]));
      return;
    }
    shown[1].forEach((name, k) => {
      const dot = element("span", { class: `dot shape-${shapeOf(k)}`, "aria-hidden": "true" });
      dot.style.background = toneOf(k);
      const button = element("button", { type: "button", "aria-pressed": String(singled === k) }, dot, name);
      button.addEventListener("click", () => {
        singled = singled === k ? null : k;
        draw();
        place.children[k].focus();
      });
      place.append(button);
    });
  }

  // --- selecting a node --------------------------------------------------------------------
  function choose(node, { follow = true } = {}) {
    chosen = node;
    if (follow) map.bring(node);
    map.redraw();
    panel();
  }

  function panel() {
    const place = $("panel"), node = chosen;
    const facts = [links(degree[node])];
    if (cluster) facts.unshift(graph.cluster_names[cluster[node]]);
    if (label) facts.unshift(graph.label_names[label[node]]);
    if (side) facts.unshift(graph.side_names[side[node]]);
    const ways = graph.directed
      ? [["Known links to", true], ["Known links from", false]].map(([title, out]) => [title, known[node].filter((row) => row[2] === out)])
      : [["Known links", known[node]]];
    if (uncertainty) facts.push(`uncertainty ${uncertainty[node].toPrecision(3)}`);
    place.replaceChildren(
      element("h3", { dir: "auto" }, names[node]),
      element("p", { class: "note" }, facts.join(" · ")),
      ...list(graph.directed ? "Proposed links to" : "Proposed", proposed[node], "proposed"),
      ...ways.flatMap(([title, rows]) => list(title, rows, "known")),
    );
  }

  function list(title, rows, style) {
    const head = element("h4", {}, title, element("span", {}, ` ${rows.length}`));
    const items = element("ul", { class: style });
    const add = ([other, value]) => {
      const button = element("button", { type: "button" }, element("bdi", {}, names[other]));
      // Known links have no probability.
      if (style === "proposed") button.append(element("span", { class: "chance" }, chance(value)));
      if (style === "proposed" && graph.has_probabilities) {
        const bar = element("span", { class: "bar", "aria-hidden": "true" });
        bar.style.setProperty("--fraction", `${100 * value}%`);
        button.append(bar);
      }
      button.addEventListener("click", () => {
        choose(other);
        $("panel").querySelector("button")?.focus();
      });
      items.append(element("li", {}, button));
      return button;
    };
    rows.slice(0, shownAtFirst).forEach(add);
    const rest = rows.slice(shownAtFirst);
    if (!rest.length) return [head, items];
    const more = element("button", { type: "button", class: "quiet" }, `Show ${rest.length.toLocaleString("en")} more`);
    more.addEventListener("click", () => {
      more.remove();
      rest.map(add)[0].focus();
    });
    return [head, items, more];
  }

  // --- search ------------------------------------------------------------------------------
  const box = $("search"), options = $("suggestions");
  const lower = names.map((name) => name.toLowerCase());
  let marked = -1;

  function close() {
    options.hidden = true;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
    marked = -1;
  }

  function take(node) {
    box.value = names[node];
    close();
    choose(node);
  }

  // Return the names that begin with the words, then those that contain them.
  function matches(words) {
    const [exact, start, inside] = [[], [], []];
    for (let i = 0; i < count && start.length < 12; i++) {
      const place = lower[i].indexOf(words);
      if (place < 0) continue;
      if (lower[i].length === words.length) exact.push(i);
      else if (place === 0) start.push(i);
      else if (inside.length < 12) inside.push(i);
    }
    // An exact match can come later.
    if (!exact.length) {
      const i = lower.indexOf(words);
      if (i >= 0) exact.push(i);
    }
    return [...exact, ...start, ...inside].slice(0, 12);
  }

  function suggest() {
    const words = box.value.trim().toLowerCase();
    options.replaceChildren();
    close();
    if (!words) return;
    const found = matches(words);
    for (const [k, node] of found.entries()) {
      const option = element("li", { role: "option", id: `suggestion-${k}`, "aria-selected": "false", dir: "auto" }, names[node]);
      option.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(node);
      });
      option.node = node;
      options.append(option);
    }
    if (!found.length) options.append(element("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, "no node of that name"));
    options.hidden = false;
    box.setAttribute("aria-expanded", "true");
  }

  function mark(k) {
    const rows = [...options.children].filter((row) => row.node !== undefined);
    if (!rows.length) return;
    marked = (k + rows.length) % rows.length;
    rows.forEach((row, i) => row.setAttribute("aria-selected", String(i === marked)));
    rows[marked].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", rows[marked].id);
  }

  box.addEventListener("input", suggest);
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (options.hidden) suggest();
      mark(event.key === "ArrowDown" ? marked + 1 : marked - 1);
    } else if (event.key === "Enter") {
      const row = options.children[Math.max(marked, 0)];
      if (!options.hidden && row?.node !== undefined) take(row.node);
    } else if (event.key === "Escape") {
      close();
    }
  });

  // --- start -------------------------------------------------------------------------------
  draw();
  redrawers.push(draw);
  $("plane").addEventListener("change", () => {
    draw();
    map.reset();
  });
  $("tint").addEventListener("change", () => {
    singled = null;
    draw();
  });
  $("zoom-in").addEventListener("click", () => map.zoom(1 / 1.6));
  $("zoom-out").addEventListener("click", () => map.zoom(1.6));
  $("zoom-all").addEventListener("click", map.reset);
  choose(graph.first, { follow: false });
})();
