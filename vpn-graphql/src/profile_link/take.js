// The code stands behind the # of the link, which browsers send to nobody. Here it goes into the form, and
// out of the address and the history.
const code = document.getElementById("code");
code.value = location.hash.slice(1);
code.type = "password";
history.replaceState(null, "", location.pathname);
