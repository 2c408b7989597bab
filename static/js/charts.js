// Draws every figure on the page from its JSON block, loading Plotly only when there is one to draw.
// Each figure stands beside a table with the same numbers, so a failure here costs nothing.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim();
  const line = style.getPropertyValue("--line").trim();
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line };
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.getPropertyValue("--font").trim(), color: ink, size: 14 },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function draw(holder) {
  const figure = JSON.parse(document.getElementById(holder.dataset.figure).textContent);
  holder.hidden = false;
  window.Plotly.react(holder, figure.data, themed(figure.layout), { displayModeBar: false, responsive: true });
}

function drawAll() {
  document.querySelectorAll("[data-figure]").forEach(draw);
}

const first = document.querySelector("[data-figure]");
if (first) {
  const script = document.createElement("script");
  script.src = first.dataset.plotly;
  script.addEventListener("load", drawAll);
  document.head.append(script);
  dark.addEventListener("change", drawAll);
  document.body.addEventListener("htmx:afterSettle", drawAll);
}
