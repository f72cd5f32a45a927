// Rules for the scripts of the page, the reader in the browser and the page of a training.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/*.min.js"] },
  js.configs.recommended,
  {
    files: ["src/digitlens/server/**/*.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals.browser },
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["src/digitlens/server/static/reader/worker.js"],
    languageOptions: { globals: globals.worker },
  },
  {
    files: ["src/digitlens/server/static/app/first.js"],
    languageOptions: { sourceType: "script" },
  },
];
