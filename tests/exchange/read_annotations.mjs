// Reads files of annotations and manifests with the parsers of Annotorious and of IIIF viewers.
// Given to node's standard input in the folder that holds node_modules, from where imports are found.
// Arguments: annotations, manifest. Prints JSON.
import fs from "node:fs";
import { JSDOM } from "jsdom";

const [annotations, manifest] = process.argv.slice(-2);
const { window } = new JSDOM("<!doctype html><body></body>");
Object.assign(globalThis, { window, document: window.document });
for (const name of ["DOMParser", "XMLSerializer", "Element", "HTMLElement", "SVGElement", "Node"])
  globalThis[name] = window[name];
const { W3CImageFormat } = await import("@annotorious/annotorious");
const content = JSON.parse(fs.readFileSync(annotations));
const format = W3CImageFormat(content[0].target.source);
const rings = content.map((annotation) => {
  const { parsed, error } = format.parse(annotation);
  if (error) throw error;
  const { geometry } = parsed.target.selector;
  const parts = geometry.polygons ? geometry.polygons.flatMap((p) => p.rings) : [geometry];
  return parts.map((ring) => ring.points);
});
const { normalize } = await import("@iiif/parser");
const { entities, resource } = normalize(JSON.parse(fs.readFileSync(manifest)));
const counts = { type: resource.type, canvases: Object.keys(entities.Canvas).length,
  annotations: Object.keys(entities.Annotation).length };
console.log(JSON.stringify({ rings, ...counts }));
