// Map of many dots on a canvas, which can be moved, zoomed and pointed at.
// Plotly's WebGL compiles code from strings, which the policy of the page forbids. A 2D canvas
// draws 20,000 dots in a few milliseconds, and works in browsers without WebGL.
"use strict";
page.dotMap = (place, { hover, choose }) => {
  const { element } = page;
  const canvas = element("canvas", { "aria-hidden": "true" }), pen = canvas.getContext("2d");
  place.append(canvas);
  const whole = 1.08, near = 14; // half of the initial view; pointing distance in pixels
  let x = new Float32Array(), y = x, paint = {}, faint = null, drawOver = () => {};
  let view = { cx: 0, cy: 0, half: whole }, width = 1, height = 1, waiting = false;
  const sprites = new Map();

  const scale = () => Math.min(width, height) / (2 * view.half);
  const across = (i) => width / 2 + (x[i] - view.cx) * scale();
  const down = (i) => height / 2 - (y[i] - view.cy) * scale();

  const outlines = [
    (c, m, r) => c.arc(m, m, r, 0, 2 * Math.PI),
    (c, m, r) => c.rect(m - 0.85 * r, m - 0.85 * r, 1.7 * r, 1.7 * r),
    (c, m, r) => { c.moveTo(m, m - 1.25 * r); c.lineTo(m + 1.25 * r, m); c.lineTo(m, m + 1.25 * r); c.lineTo(m - 1.25 * r, m); },
    (c, m, r) => { c.moveTo(m, m - 1.2 * r); c.lineTo(m + 1.1 * r, m + 0.8 * r); c.lineTo(m - 1.1 * r, m + 0.8 * r); },
    (c, m, r) => { c.rect(m - 1.15 * r, m - 0.4 * r, 2.3 * r, 0.8 * r); c.rect(m - 0.4 * r, m - 1.15 * r, 0.8 * r, 2.3 * r); },
  ];

  // Return the image of a dot of one colour and shape, which is drawn once.
  function sprite({ fill, shape }, radius) {
    const key = `${fill} ${shape} ${radius}`;
    if (!sprites.has(key)) {
      const dots = devicePixelRatio, side = Math.ceil(2.6 * radius * dots) + 2;
      const made = element("canvas", { width: side, height: side }), c = made.getContext("2d");
      c.beginPath();
      outlines[shape](c, side / 2, radius * dots);
      c.fillStyle = fill;
      c.fill();
      sprites.set(key, made);
    }
    return sprites.get(key);
  }

  function radius() {
    const base = Math.min(4.5, Math.max(1.6, 130 / Math.sqrt(x.length)));
    return Math.round(4 * base * Math.min(2.2, Math.sqrt(whole / view.half))) / 4;
  }

  function draw() {
    waiting = false;
    const dots = devicePixelRatio, r = radius();
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    const images = paint.styles.map((style) => sprite(style, r));
    for (let i = 0; i < x.length; i++) {
      const [px, py] = [across(i), down(i)];
      if (px < -20 || py < -20 || px > width + 20 || py > height + 20) continue;
      const image = images[paint.of[i]], side = image.width / dots;
      pen.globalAlpha = faint && !faint(i) ? 0.07 : 0.85;
      pen.drawImage(image, px - side / 2, py - side / 2, side, side);
    }
    pen.globalAlpha = 1;
    drawOver({ pen, across, down, radius: r });
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  // A new size clears the canvas: it is drawn at once, as no frame may show it empty.
  function fit() {
    [width, height] = [Math.max(place.clientWidth, 1), Math.max(place.clientHeight, 1)];
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    sprites.clear();
    if (paint.styles) draw();
  }
  fit();
  new ResizeObserver(fit).observe(place);

  // Return the nearest dot within reach of a point on the screen, or -1.
  function at(px, py, reach) {
    let best = -1, least = reach ** 2;
    for (let i = 0; i < x.length; i++) {
      const distance = (across(i) - px) ** 2 + (down(i) - py) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  function zoom(factor, px = width / 2, py = height / 2) {
    const half = Math.min(Math.max(view.half * factor, 1e-3), 3 * whole);
    const before = scale(), after = before * (view.half / half);
    view = {
      half,
      cx: view.cx + (px - width / 2) * (1 / before - 1 / after),
      cy: view.cy - (py - height / 2) * (1 / before - 1 / after),
    };
    redraw();
  }

  // --- pointing ----------------------------------------------------------------------------
  let held = null; // start of a drag
  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    held = { at: spot(event), view, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [px, py] = spot(event);
    if (!held) {
      const i = at(px, py, near);
      canvas.style.cursor = i < 0 ? "grab" : "pointer";
      hover(i, px, py);
      return;
    }
    const [dx, dy] = [px - held.at[0], py - held.at[1]];
    held.moved ||= Math.hypot(dx, dy) > 4;
    if (!held.moved) return;
    hover(-1);
    canvas.style.cursor = "grabbing";
    view = { ...held.view, cx: held.view.cx - dx / scale(), cy: held.view.cy + dy / scale() };
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    const still = held && !held.moved;
    held = null;
    const i = at(...spot(event), event.pointerType === "touch" ? 2 * near : near);
    if (still && i >= 0) choose(i);
  });
  canvas.addEventListener("pointercancel", () => { held = null; }); // the page scrolls instead
  canvas.addEventListener("pointerleave", () => hover(-1));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    zoom(Math.exp(event.deltaY / 300), ...spot(event));
  }, { passive: false });

  return {
    redraw,
    zoom,
    // Set the positions of the dots, float32.
    setPlaces: (newX, newY) => { [x, y] = [newX, newY]; },
    // styles: {fill, shape} each; of: index of the style of each dot; strong: whether a dot is not faint.
    setPaint: (styles, of, strong = null) => { [paint, faint] = [{ styles, of }, strong]; },
    // Set the function that draws over the dots.
    setOver: (over) => { drawOver = over; },
    reset: () => { view = { cx: 0, cy: 0, half: whole }; redraw(); },
    // Move the view if a dot is not well inside it.
    bring: (i) => {
      const edge = 40, [px, py] = [across(i), down(i)];
      if (px > edge && py > edge && px < width - edge && py < height - edge) return;
      view = { ...view, cx: x[i], cy: y[i] };
      redraw();
    },
    // Return the position of a dot on the screen.
    place: (i) => {
      const box = canvas.getBoundingClientRect();
      return { x: box.left + across(i), y: box.top + down(i) };
    },
  };
};
