// Says so when a passkey could not be used or made; the browser tells why in its own words only to itself.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const notice = document.getElementById("passkey-trouble");
  if (notice) notice.hidden = false;
});
