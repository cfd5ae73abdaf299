// Probabilities over time as stacked areas, with gaps where nothing is said, and a line where the video is.
const SVG = "http://www.w3.org/2000/svg";
const TOP = 18;
const STRIP = 10;
const FOOT = 24;
const LEFT = 40;
const RIGHT = 8;

export class Timeline {
  constructor(place, answer) {
    this.place = place;
    this.answer = answer;
    this.duration_s = Math.max(answer.duration_s, 0.001);
    this.time_s = 0;
    this.marks = [];
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    place.ariaValueMax = this.duration_s.toFixed(1);
    place.addEventListener("pointerdown", (event) => {
      place.setPointerCapture(event.pointerId);
      this.seek(this.timeOf(event));
    });
    place.addEventListener("pointermove", (event) => (event.buttons ? this.seek(this.timeOf(event)) : this.hover(this.timeOf(event))));
    place.addEventListener("pointerleave", () => this.hover(null));
    place.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.line && this.draw(this.line)).observe(place);
  }

  get width() {
    return Math.max(this.place.clientWidth, 200);
  }

  get height() {
    return this.width < 560 ? 190 : 240;
  }

  x(time_s) {
    return LEFT + (Math.min(Math.max(time_s / this.duration_s, 0), 1) * (this.width - LEFT - RIGHT));
  }

  timeOf(event) {
    const share = (event.clientX - this.place.getBoundingClientRect().left - LEFT) / (this.width - LEFT - RIGHT);
    return Math.min(Math.max(share, 0), 1) * this.duration_s;
  }

  seek(time_s) {
    const place_s = Math.min(Math.max(time_s, 0), this.duration_s);
    this.point(place_s, this.words); // the video follows a little later
    this.onSeek?.(place_s);
  }

  onKey(event) {
    const step = event.shiftKey ? this.duration_s / 10 : Math.max(this.duration_s / 100, 0.04);
    const places = { ArrowLeft: this.time_s - step, ArrowRight: this.time_s + step, Home: 0, End: this.duration_s };
    if (event.key in places) this.seek(places[event.key]);
    else if (event.key === " ") this.onToggle?.();
    else return;
    event.preventDefault();
  }

  draw(line) {
    this.line = line;
    const { width, height } = this;
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const bottom = height - FOOT - STRIP - 6;
    svg.append(node("rect", { class: "gap", x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: bottom - TOP }));
    const columns = this.columns(line);
    for (const run of runsOf(columns)) this.drawAreas(svg, run, bottom);
    for (const share of [0, 0.5, 1]) {
      const y = bottom - share * (bottom - TOP);
      svg.append(node("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
      svg.append(text(LEFT - 6, y + 4, `${100 * share} %`, "end"));
    }
    this.drawStrip(svg, columns, bottom + 6);
    const step = niceStep(this.duration_s, width / 90);
    for (let time_s = 0; time_s <= this.duration_s + 1e-6; time_s += step) svg.append(text(this.x(time_s), height - 6, clock(time_s, step), "middle"));
    this.hoverLine = svg.appendChild(node("line", { class: "hover", y1: TOP, y2: height - FOOT, visibility: "hidden" }));
    this.headLine = svg.appendChild(node("line", { class: "head", y1: TOP - 4, y2: height - FOOT }));
    this.knob = svg.appendChild(node("circle", { class: "knob", cy: TOP - 7, r: 6 }));
    for (const time_s of this.marks) svg.append(node("circle", { class: "mark", cx: this.x(time_s), cy: bottom + 6 + STRIP / 2, r: 5 }));
    this.place.replaceChildren(svg, this.tip);
    this.point(this.time_s, this.words || "");
  }

  // As many columns as can be told apart, each the mean of the frames in it; null where most say nothing.
  columns(line) {
    const count = Math.min(line.times_s.length, Math.round(this.width / 2));
    const columns = [];
    for (let column = 0; column < count; column++) {
      const from = Math.floor((column * line.times_s.length) / count);
      const to = Math.max(Math.floor(((column + 1) * line.times_s.length) / count), from + 1);
      const rows = [];
      for (let row = from; row < to; row++) if (line.predicted[row] >= 0) rows.push(row);
      const shares = rows.length * 2 < to - from || !rows.length ? null : line.probabilities.map((one) => rows.reduce((sum, row) => sum + one[row], 0) / rows.length / 1000);
      const until = to < line.times_s.length ? line.times_s[to] : this.duration_s;
      columns.push({ from: line.times_s[from], to: until, middle: (line.times_s[from] + until) / 2, shares });
    }
    return columns;
  }

  drawAreas(svg, run, bottom) {
    const scale = bottom - TOP;
    const xs = [this.x(run[0].from), ...run.map((one) => this.x(one.middle)), this.x(run.at(-1).to)];
    const rows = [run[0], ...run, run.at(-1)];
    let below = rows.map(() => 0);
    this.answer.labels.forEach((label, number) => {
      const above = rows.map((one, place) => below[place] + one.shares[number]);
      const up = above.map((share, place) => `${xs[place].toFixed(1)},${(bottom - share * scale).toFixed(1)}`);
      const down = below.map((share, place) => `${xs[place].toFixed(1)},${(bottom - share * scale).toFixed(1)}`).reverse();
      svg.append(node("polygon", { points: [...up, ...down].join(" "), fill: this.answer.colours[number] }));
      below = above;
    });
  }

  drawStrip(svg, columns, y) {
    const best = columns.map((one) => (one.shares ? one.shares.indexOf(Math.max(...one.shares)) : -1));
    for (let from = 0, to; from < columns.length; from = to) {
      for (to = from + 1; to < columns.length && best[to] === best[from]; to++);
      if (best[from] < 0) continue;
      const x = this.x(columns[from].from);
      svg.append(node("rect", { x, y, width: this.x(columns[to - 1].to) - x, height: STRIP, fill: this.answer.colours[best[from]] }));
    }
  }

  point(time_s, words) {
    this.time_s = time_s;
    this.words = words;
    const x = this.x(time_s);
    this.headLine?.setAttribute("x1", x);
    this.headLine?.setAttribute("x2", x);
    this.knob?.setAttribute("cx", x);
    this.place.ariaValueNow = time_s.toFixed(1);
    this.place.ariaValueText = words;
  }

  hover(time_s) {
    const is_out = time_s == null || !this.hoverLine;
    this.tip.hidden = is_out;
    this.hoverLine?.setAttribute("visibility", is_out ? "hidden" : "visible");
    if (is_out) return;
    const x = this.x(time_s);
    this.hoverLine.setAttribute("x1", x);
    this.hoverLine.setAttribute("x2", x);
    this.tip.textContent = `${time_s.toFixed(1)} s`;
    this.tip.style.left = `${x}px`;
  }

  mark(time_s) {
    this.marks.push(time_s);
    this.draw(this.line);
  }
}

function runsOf(columns) {
  const runs = [];
  for (const one of columns) {
    if (!one.shares) runs.push([]);
    else if (!runs.length) runs.push([one]);
    else runs.at(-1).push(one);
  }
  return runs.filter((run) => run.length);
}

function niceStep(duration_s, most) {
  return [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((step) => duration_s / step <= most) || 600;
}

function clock(time_s, step) {
  if (step < 1) return `${time_s.toFixed(1)} s`;
  return time_s < 60 ? `${Math.round(time_s)} s` : `${Math.floor(time_s / 60)}:${String(Math.round(time_s % 60)).padStart(2, "0")}`;
}

function node(kind, attributes) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function text(x, y, words, anchor) {
  const made = node("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}
