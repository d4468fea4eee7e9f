// The viewer knows light and dark, but not which of them the reader wants.
const dark = matchMedia("(prefers-color-scheme: dark)");
const viewer = document.querySelector("rapi-doc");
const follow = () => viewer.setAttribute("theme", dark.matches ? "dark" : "light");
dark.addEventListener("change", follow);
follow();
