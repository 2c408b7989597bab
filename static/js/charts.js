// Draws every figure on the page from its JSON block, loading Plotly only when there is one to draw.
// Each figure stands beside a table with the same numbers, so a failure here costs nothing.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const NARROW = 480;

function themed(layout, width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line") };
  const labels = { ...layout.xaxis };
  if (width < NARROW && labels.tickvals?.length > 5) {
    labels.tickvals = labels.tickvals.filter((_value, place) => place % 2 === 0);
    labels.ticktext = labels.ticktext.filter((_text, place) => place % 2 === 0);
  }
  return {
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: colour("--font"), color: colour("--ink"), size: 13 },
    hoverlabel: { bgcolor: colour("--surface"), bordercolor: colour("--ink-soft"), font: { color: colour("--ink") } },
    xaxis: { ...axis, ...labels },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function draw(holder) {
  const figure = JSON.parse(document.getElementById(holder.dataset.figure).textContent);
  holder.hidden = false;
  window.Plotly.react(holder, figure.data, themed(figure.layout, holder.clientWidth), {
    displayModeBar: false,
    responsive: true,
  });
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
}
