// The switch between the theme of the system, light and dark; kept in this browser.
// @ts-check
import { byId, icon } from "./dom.js";

const KEY = "digitlens-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const SAID = { auto: "as the system", light: "light", dark: "dark" };

/**
 * Makes the switch work.
 * @param {() => void} changed Called after each change, also of the system's theme.
 */
export function startTheme(changed) {
  const root = document.documentElement;
  const button = byId("theme");
  const show = () => {
    const theme = root.dataset.theme;
    button.replaceChildren(icon(theme));
    button.title = `Theme: ${SAID[theme]}`;
    button.setAttribute("aria-label", `Theme: ${SAID[theme]}. Change to ${SAID[NEXT[theme]]}`);
    changed();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = NEXT[root.dataset.theme] ?? "auto";
    remember(root.dataset.theme);
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing shows the theme until the page is left.
  }
}
