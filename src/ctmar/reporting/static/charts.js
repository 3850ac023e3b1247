// Charts: every mark carries what it says as its title, which browsers show after a while and only to a mouse. Here the
// mark nearest to the pointer, or the next one by arrow keys, says it at once.
const TITLED = ".drawing svg, .panel-chart svg";
const REACH = 24; // pixels
const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true, role: "status" });
document.body.append(tip);

// Titles become data, or browsers would show them a second time
function marksOf(svg) {
  for (const title of svg.querySelectorAll("title")) {
    title.parentElement.dataset.says = title.textContent;
    title.remove();
  }
  return [...svg.querySelectorAll("[data-says]:not(.out)")];
}

function centre(mark) {
  const box = mark.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}

function quiet() {
  tip.hidden = true;
  document.querySelector(".pointed")?.classList.remove("pointed");
}

function say(mark) {
  quiet();
  if (!mark) return;
  mark.classList.add("pointed");
  tip.textContent = mark.dataset.says;
  tip.hidden = false;
  const [x, y] = centre(mark);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x - width / 2, innerWidth - width - 4))}px`;
  tip.style.top = `${y - height - 14 > 0 ? y - height - 14 : y + 14}px`;
}

// Cells of a map are where the pointer is; marks are found within reach
function nearest(svg, x, y) {
  let [found, least] = [null, REACH];
  for (const mark of marksOf(svg)) {
    const box = mark.getBoundingClientRect();
    if (box.width > 2 * REACH) {
      if (x >= box.left && x <= box.right && y >= box.top - 4 && y <= box.bottom + 4) return mark;
      continue;
    }
    const [markX, markY] = centre(mark);
    const distance = Math.hypot(markX - x, markY - y);
    if (distance < least) [found, least] = [mark, distance];
  }
  return found;
}

function followPointer(event) {
  const svg = event.target.closest?.(TITLED);
  if (svg) say(nearest(svg, event.clientX, event.clientY));
  else quiet();
}

function stepByKey(event) {
  const svg = event.currentTarget;
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") quiet();
  if (!step) return;
  event.preventDefault();
  const marks = marksOf(svg);
  const index = marks.indexOf(svg.querySelector(".pointed"));
  say(marks[(index < 0 ? (step > 0 ? 0 : -1) : index + step + marks.length) % marks.length] ?? marks.at(-1));
}

function saveDrawing(figure) {
  const shown = [...figure.querySelectorAll(".drawing svg")].find((svg) => svg.checkVisibility());
  const svg = shown.cloneNode(true);
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("style", "color: #1c2126; background: #fff; font-family: sans-serif");
  svg.querySelectorAll(".pointed").forEach((mark) => mark.removeAttribute("class"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" }));
  link.download = `${figure.id}.svg`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function makeCharts() {
  document.addEventListener("pointermove", followPointer, { passive: true });
  document.addEventListener("pointerdown", followPointer, { passive: true });
  document.addEventListener("scroll", quiet, { passive: true });
  for (const svg of document.querySelectorAll(TITLED)) {
    svg.tabIndex = 0;
    svg.addEventListener("keydown", stepByKey);
    svg.addEventListener("blur", quiet);
  }
  for (const save of document.querySelectorAll(".chart .save")) {
    save.hidden = false;
    save.addEventListener("click", () => saveDrawing(save.closest("figure")));
  }
}

makeCharts();
