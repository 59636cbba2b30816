"use strict";
(() => {
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const figures = JSON.parse(document.getElementById("figures").textContent);

  // What a plot takes from the page.
  function theme(layout) {
    const colours = { font: { color: style("--ink"), family: "system-ui, sans-serif", size: 12 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { bgcolor: style("--page"), bordercolor: style("--line"), font: { color: style("--ink") } } };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      colours[name] = { gridcolor: style("--line"), linecolor: style("--line"), zerolinecolor: style("--line") };
    }
    return colours;
  }
  function merged(base, more) {
    const result = { ...base };
    for (const [key, value] of Object.entries(more)) {
      const both = value && result[key] && typeof value === "object" && !Array.isArray(value);
      result[key] = both ? merged(result[key], value) : value;
    }
    return result;
  }
  function flat(value, prefix, found) {
    for (const [key, inner] of Object.entries(value)) {
      if (inner && typeof inner === "object" && !Array.isArray(inner)) flat(inner, `${prefix}${key}.`, found);
      else found[prefix + key] = inner;
    }
    return found;
  }

  const drawn = new Set();
  function draw(place) {
    if (drawn.has(place)) return;
    drawn.add(place);
    const { data, layout } = figures[place.id];
    // A finger on a plot scrolls the page.
    const whole = merged(merged(layout, theme(layout)), { autosize: true, dragmode: touch.matches ? false : "zoom" });
    const traces = data.map((trace) =>
      trace.type === "sankey" ? merged(trace, { textfont: { color: style("--ink"), shadow: "none" } }) : trace);
    Plotly.newPlot(place, traces, whole, { responsive: true, displaylogo: false, showTips: false,
      displayModeBar: touch.matches ? false : "hover" });
  }
  const places = [...document.querySelectorAll(".plot")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  places.forEach((place) => near.observe(place));
  addEventListener("beforeprint", () => places.forEach(draw));
  dark.addEventListener("change", () => {
    for (const place of drawn) {
      Plotly.relayout(place, flat(theme(figures[place.id].layout), "", {}));
      if (figures[place.id].data[0].type === "sankey") Plotly.restyle(place, { "textfont.color": style("--ink") });
    }
  });

  // Tables: a click on a header sorts by it, another one turns the order round.
  function sort(header) {
    const table = header.closest("table");
    const column = [...header.parentNode.children].indexOf(header);
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.children) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const key = (row) => {
      const cell = row.cells[column];
      return { number: cell.dataset.value === undefined ? null : Number(cell.dataset.value), text: cell.textContent };
    };
    const rows = [...body.rows].map((row) => ({ row, ...key(row) }));
    const numbers = rows.every(({ number, text }) => number !== null || !text.trim());
    rows.sort((a, b) => {
      if (!a.text.trim() || !b.text.trim()) return !b.text.trim() - !a.text.trim() === 0 ? 0 : a.text.trim() ? -1 : 1;
      const order = numbers ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true });
      return down ? -order : order;
    });
    body.append(...rows.map(({ row }) => row));
  }
  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => sort(button.parentNode));
  }

  // Terms: what one means, on hover, on focus and on a tap; the glossary says it without a script.
  const tip = document.getElementById("tip");
  let shown = null;
  function hide() {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }
  function show(term) {
    hide();
    shown = term;
    tip.textContent = document.querySelector(term.getAttribute("href")).nextElementSibling.textContent;
    tip.hidden = false;
    term.setAttribute("aria-describedby", "tip");
    const at = term.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - 8));
    const below = at.bottom + tip.offsetHeight + 12 < innerHeight;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(below ? at.bottom + 6 : at.top - tip.offsetHeight - 6) + scrollY}px`;
  }
  for (const term of document.querySelectorAll(".term")) {
    term.addEventListener("mouseenter", () => show(term));
    term.addEventListener("focus", () => show(term));
    term.addEventListener("mouseleave", (event) => {
      if (event.relatedTarget !== tip && document.activeElement !== term) hide();
    });
    term.addEventListener("blur", hide);
    term.addEventListener("click", (event) => {
      event.preventDefault();
      show(term);
    });
  }
  tip.addEventListener("mouseleave", hide);
  tip.addEventListener("click", hide);
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  if (matchMedia("(max-width: 78rem)").matches) document.querySelector("nav details").open = false;
})();
