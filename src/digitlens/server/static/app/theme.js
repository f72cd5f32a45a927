// The theme switch: system, light or dark; stored in this browser.
// @ts-check
import { byId, icon } from "./dom.js";

const KEY = "digitlens-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };
const NAMES = { auto: "system", light: "light", dark: "dark" };

/**
 * Sets up the switch.
 * @param {() => void} changed Called after each change, including changes of the system theme.
 */
export function startTheme(changed) {
  const root = document.documentElement;
  const button = byId("theme");
  const show = () => {
    const theme = root.dataset.theme;
    button.replaceChildren(icon(theme));
    button.title = `Theme: ${NAMES[theme]}`;
    button.setAttribute("aria-label", `Theme: ${NAMES[theme]}. Switch to ${NAMES[NEXT[theme]]}`);
    changed();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = NEXT[root.dataset.theme] ?? "auto";
    storeTheme(root.dataset.theme);
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}

function storeTheme(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Without storage the theme lasts until the page is closed.
  }
}
