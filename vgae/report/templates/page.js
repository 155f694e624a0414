// Shared by all pages: data, theme, charts, tables, copying.
// The page receives texts by textContent alone, Plotly by literal().
"use strict";
const page = (() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const redrawers = [];

  // Elements of class needs-js are shown from here on.
  root.classList.add("js");

  function unpack(array) {
    const bytes = Uint8Array.from(atob(array.base64), (c) => c.charCodeAt(0));
    return array.type === "f4" ? new Float32Array(bytes.buffer) : new Int32Array(bytes.buffer);
  }

  // Plotly interprets some HTML in texts.
  function literal(text) {
    return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  }

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    for (const child of children) made.append(child); // strings become text, never markup
    return made;
  }

  // --- theme -------------------------------------------------------------------------------
  const probe = element("span", { hidden: "" });
  document.body.append(probe);

  // Return the value of a colour variable under the current theme.
  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const toggle = document.getElementById("theme");

  function themed() {
    toggle.textContent = isDark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
    for (const redraw of redrawers) redraw();
  }
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    themed();
  });
  dark.addEventListener("change", () => root.dataset.theme ?? themed());

  function layout(extra = {}) {
    const axis = {
      gridcolor: colour("line"), zeroline: false, linecolor: colour("line"),
      tickcolor: colour("line"), automargin: true, fixedrange: true, title: { standoff: 8 },
    };
    const { xaxis, yaxis, ...rest } = extra;
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("soft") },
      margin: { l: 48, r: 12, t: 20, b: 40 }, showlegend: false, dragmode: false,
      hoverlabel: {
        bgcolor: colour("raised"), bordercolor: colour("line"),
        font: { color: colour("ink"), family: getComputedStyle(document.body).fontFamily },
      },
      xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
    };
  }

  // --- charts ------------------------------------------------------------------------------
  function trace(series) {
    const tone = colour(series.colour);
    const bars = series.kind === "bars";
    const made = {
      x: series.x, y: series.y, type: bars ? "bar" : "scatter", name: literal(series.name),
      hovertemplate: series.text.length
        ? "%{text}<extra></extra>"
        : `%{x:.4~g}, %{y:.4~g}<extra>${literal(series.name)}</extra>`,
    };
    if (series.text.length) made.text = series.text.map(literal);
    if (bars) {
      made.marker = { color: tone, opacity: 0.65 };
    } else {
      made.mode = { line: "lines", step: "lines", dots: "markers" }[series.kind] ?? "lines+markers";
      made.line = { color: tone, width: 2, dash: series.dash ? "dot" : "solid" };
      if (series.kind === "step") made.line.shape = "hv";
      made.marker = { color: tone, size: series.kind === "dots" ? 10 : 7 };
      if (!series.name) made.hoverinfo = "skip";
    }
    if (series.low.length) {
      made.error_y = {
        type: "data", symmetric: false, color: tone, thickness: 1.5, width: 4,
        array: series.high.map((high, i) => high - series.y[i]),
        arrayminus: series.low.map((low, i) => series.y[i] - low),
      };
    }
    return made;
  }

  function decades(chart) {
    const values = chart.series.flatMap((series) => series.y).filter((value) => value > 0);
    return Math.log10(Math.max(...values) / Math.min(...values));
  }

  function draw(id, chart) {
    const place = document.getElementById(id);
    if (!place) return;
    const words = chart.series.some((s) => s.x.some((x) => typeof x === "string"));
    const shapes = [], annotations = [];
    for (const [x, label] of chart.marks) {
      shapes.push({
        type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper",
        line: { color: colour("soft"), width: 1, dash: "dot" },
      });
      annotations.push({
        x, y: 1, yref: "paper", yanchor: "bottom", xanchor: "auto", showarrow: false,
        text: literal(label), font: { size: 11 },
      });
    }
    Plotly.react(place, chart.series.map(trace), layout({
      xaxis: {
        title: { text: literal(chart.x_title), standoff: 8 },
        type: words ? "category" : "linear", range: chart.x_range ?? undefined,
      },
      yaxis: {
        title: { text: literal(chart.y_title), standoff: 8 },
        type: chart.log_y ? "log" : "linear", range: chart.y_range ?? undefined,
        ...(chart.log_y ? { dtick: decades(chart) > 2 ? 1 : "D2", tickformat: "~s" } : {}),
      },
      barmode: "overlay", bargap: 0.04, shapes, annotations, hovermode: "closest",
    }), { displayModeBar: false, responsive: true });
  }

  function drawAll() {
    for (const [id, chart] of Object.entries(data.charts)) draw(id, chart);
  }
  drawAll();
  redrawers.push(drawAll);

  // --- tables ------------------------------------------------------------------------------
  function value(row, column) {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  }

  for (const button of document.querySelectorAll("[data-sorts]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), table = button.closest("table");
      const column = Number(button.dataset.sorts);
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      const order = new Intl.Collator("en", { numeric: true });
      rows.sort((a, b) => {
        const [p, q] = [value(a, column), value(b, column)];
        const sign = typeof p === "number" ? p - q : order.compare(p, q);
        return falling ? -sign : sign;
      });
      table.tBodies[0].append(...rows);
    });
  }

  for (const box of document.querySelectorAll("[data-filters]")) {
    const rows = [...document.getElementById(box.dataset.filters).tBodies[0].rows];
    const count = document.getElementById(`${box.dataset.filters}-count`);
    const filter = () => {
      const wanted = box.value.trim().toLowerCase();
      let left = 0;
      for (const row of rows) {
        // Cell by cell, as a match must not span two cells.
        row.hidden = ![...row.cells].some((cell) => cell.textContent.toLowerCase().includes(wanted));
        left += row.hidden ? 0 : 1;
      }
      count.textContent = left ? `${left} of ${rows.length} rows` : "no rows";
    };
    box.addEventListener("input", filter);
    filter();
  }

  // --- copying -----------------------------------------------------------------------------
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copies);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch { // some browsers do not let a file write to the clipboard: select the text
        getSelection().selectAllChildren(source);
        button.textContent = "Selected: press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  return { data, unpack, literal, element, colour, layout, isDark, redrawers, themed };
})();
page.themed();
