// Says so when a part of the page could not be brought up to date: the site is away, or the page is too old.

const notice = document.getElementById("trouble");
const REFUSED_IN_WORDS = 409; // such an answer says itself what is wrong

function show(isShown) {
  if (notice) notice.hidden = !isShown;
}

document.addEventListener("htmx:error", () => show(true));
document.addEventListener("htmx:after:request", (event) => {
  const { status } = event.detail.ctx.response;
  show(status >= 400 && status !== REFUSED_IN_WORDS);
});
