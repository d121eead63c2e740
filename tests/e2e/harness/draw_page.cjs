// Runs the scripts of a page in a document without a browser, and prints each figure's title and how many shapes
// were drawn in it: `draw_page.cjs FILE`.
const { readFileSync } = require("node:fs");
const vm = require("node:vm");
const { parseHTML } = require("linkedom");

const { document, window } = parseHTML(readFileSync(process.argv[2], "utf8"));
const context = vm.createContext({ document, window, Node: window.Node, setTimeout, clearTimeout, self: {} });
context.globalThis = context;
for (const script of document.querySelectorAll("script:not([type])")) vm.runInContext(script.textContent, context);
const figures = [...document.querySelectorAll("figure")].map((figure) => [
  figure.querySelector("h3").textContent,
  figure.querySelectorAll("path, rect, circle, td").length,
]);
process.stdout.write(JSON.stringify(figures));
