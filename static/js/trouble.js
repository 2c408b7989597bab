// Says so when a part of the page could not be brought up to date: the site is away, or the page is too old.

const notice = document.getElementById("trouble");

function show(isShown) {
  if (notice) notice.hidden = !isShown;
}

document.addEventListener("htmx:error", () => show(true));
document.addEventListener("htmx:response:error", () => show(true));
document.addEventListener("htmx:after:swap", () => show(false));
