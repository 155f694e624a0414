// Map of the images, and traversal of a square of the latent space.
"use strict";
(() => {
  const { data, unpack, element, colour, isDark, redrawers } = page;
  const $ = (id) => document.getElementById(id);

  const signed = (value) => value.toFixed(2).replace("-", "−");

  // Pixels are read and written one by one, which a GPU would slow down.
  const penOf = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

  // Return the pixels of a sheet of images.
  async function pixelsOf(address) {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    const pen = penOf(canvas);
    pen.drawImage(image, 0, 0);
    return pen.getImageData(0, 0, canvas.width, canvas.height);
  }

  // --- the square --------------------------------------------------------------------------
  const square = data.explorer;
  let explore = null; // moves to a point

  async function startExplorer() {
    const { reach, grid, size: [high, wide], axes } = square;
    const pad = $("pad"), cross = $("cross"), sliders = [$("z-0"), $("z-1")];
    const sheet = await pixelsOf($("pad-tiles").src);
    const pen = penOf($("decoded")), made = pen.createImageData(wide, high);
    const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
    let place = [0, 0];

    // Interpolate bilinearly between the four decoded images around a point.
    function blend() {
      const spots = [(place[0] + reach) / (2 * reach), (reach - place[1]) / (2 * reach)].map((s) => s * (grid - 1));
      const corner = spots.map((s) => clamp(Math.floor(s), 0, grid - 2));
      const [dx, dy] = [spots[0] - corner[0], spots[1] - corner[1]];
      const corners = [[0, 0, (1 - dx) * (1 - dy)], [1, 0, dx * (1 - dy)], [0, 1, (1 - dx) * dy], [1, 1, dx * dy]];
      for (let row = 0; row < high; row++) {
        for (let column = 0; column < wide; column++) {
          const to = 4 * (row * wide + column);
          for (let c = 0; c < 3; c++) {
            let value = 0;
            for (const [right, down, weight] of corners) {
              const x = (corner[0] + right) * wide + column, y = (corner[1] + down) * high + row;
              value += weight * sheet.data[4 * (y * sheet.width + x) + c];
            }
            made.data[to + c] = value;
          }
          made.data[to + 3] = 255;
        }
      }
      pen.putImageData(made, 0, 0);
    }

    explore = (x, y) => {
      place = [clamp(x, -reach, reach), clamp(y, -reach, reach)];
      blend();
      // The middles of the outermost images are the ends of the square.
      const inset = 50 / grid, span = 100 - 2 * inset;
      cross.style.left = `${inset + (span * (place[0] + reach)) / (2 * reach)}%`;
      cross.style.top = `${inset + (span * (reach - place[1])) / (2 * reach)}%`;
      const words = place.map((v, i) => `z${axes[i]} = ${signed(v)}`);
      $("place").textContent = words.join(", ");
      $("decoded").setAttribute("aria-label", `The image decoded at ${words.join(", ")}`);
      sliders.forEach((slider, i) => {
        slider.value = place[i];
        slider.setAttribute("aria-valuetext", words[i]);
      });
    };

    function point(event) {
      const box = pad.getBoundingClientRect(), inset = 0.5 / grid;
      const at = (fraction) => (2 * (fraction - inset) / (1 - 2 * inset) - 1) * reach;
      explore(at((event.clientX - box.left) / box.width), -at((event.clientY - box.top) / box.height));
    }
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      point(event);
    });
    pad.addEventListener("pointermove", point);

    pad.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (event.key === "Home") explore(0, 0);
      else if (way) {
        const step = (event.shiftKey ? 5 : 1) * reach / 50;
        explore(place[0] + way[0] * step, place[1] + way[1] * step);
      } else return;
      event.preventDefault();
    });
    sliders.forEach((slider, i) => slider.addEventListener("input", () => {
      const next = [...place];
      next[i] = Number(slider.value);
      explore(...next);
    }));
    pad.tabIndex = 0;
    pad.setAttribute("role", "application");
    pad.setAttribute("aria-label", "The latent square. Arrow keys move the point, with Shift in larger steps; Home moves it to the middle. The sliders do the same.");
    pad.setAttribute("aria-describedby", "explore-note");
    cross.hidden = false;
    explore(0, 0);
  }

  // --- the map -----------------------------------------------------------------------------
  const about = data.map, number = unpack(about.number), points = unpack(about.points);
  const label = about.label ? unpack(about.label) : null;
  let singled = null, chosen = 0, sheet = null; // a class; an image; their sheet
  const map = page.dotMap($("map"), { hover: (i) => i >= 0 && show(i), choose });
  page.map = map;
  map.setPlaces(unpack(about.x), unpack(about.y));
  map.setOver(({ pen, across, down, radius }) => {
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(across(chosen), down(chosen), radius + 5, 0, 2 * Math.PI);
    pen.stroke();
  });

  const classColours = () => (isDark() ? about.dark_colours : about.colours);

  function draw() {
    const count = label ? about.classes.length : 1, colours = classColours();
    const styles = Array.from({ length: count }, (_, k) => ({
      fill: label ? colours[k % colours.length] : colour("accent"),
      shape: Math.floor(k / colours.length) % 5,
    }));
    const strong = singled === null ? null : (i) => label[i] === singled;
    map.setPaint(styles, label ?? new Int32Array(about.count), strong);
    map.redraw();
    legend();
  }

  function legend() {
    $("legend").replaceChildren();
    if (!label) return;
    const colours = classColours();
    about.classes.forEach((name, k) => {
      const dot = element("span", { class: "dot", "aria-hidden": "true" });
      dot.style.background = colours[k % colours.length];
      const button = element("button", { type: "button", "aria-pressed": String(singled === k) }, dot, name);
      button.addEventListener("click", () => {
        singled = singled === k ? null : k;
        draw();
        $("legend").children[k].focus();
      });
      $("legend").append(button);
    });
  }

  function show(i) {
    chosen = i;
    map.redraw();
    const [high, wide] = about.size, left = (i % about.columns) * wide, top = Math.floor(i / about.columns) * high;
    // Copy a part of the sheet; the rest lies outside the canvas.
    if (sheet) penOf($("seen-image")).putImageData(sheet, -left, -top, left, top, wide, high);
    const which = `image ${number[i].toLocaleString("en")}`;
    const words = label ? [`class ${about.classes[label[i]]}`, which] : [which];
    const z = about.is_latent ? `z = (${[points[2 * i], points[2 * i + 1]].map(signed).join(", ")})` : "";
    $("seen-text").replaceChildren(element("strong", {}, words[0]), [words[1], z].filter(Boolean).join(", "));
    $("seen-image").setAttribute("aria-label", `Selected image, ${words.join(", ")}`);
    $("seen-number").value = i;
    $("seen-number").setAttribute("aria-valuetext", words.join(", "));
  }

  function choose(i) {
    show(i);
    if (about.is_latent && explore) explore(points[2 * i], points[2 * i + 1]);
  }

  $("seen-number").addEventListener("input", () => {
    const i = Number($("seen-number").value);
    choose(i);
    map.bring(i);
  });
  draw();
  redrawers.push(draw);
  show(chosen);
  pixelsOf(about.sprite).then((pixels) => {
    sheet = pixels;
    show(chosen);
  });
  if (square) startExplorer();
})();
