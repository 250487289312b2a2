"use strict";
// Export to review.json, and back.

review.files = (() => {
  function content() {
    const acts = review.acts.all;
    const names = new Set(acts.map((act) => act.photograph));
    const photographs = {};
    for (const found of review.data.photographs) {
      if (!names.has(found.name)) continue;
      const { width, height, image_sha256, class_map_sha256, checkpoint_sha256 } = found;
      photographs[found.name] = { image_sha256, class_map_sha256, checkpoint_sha256, width, height };
    }
    const { schema, run } = review.data;
    return { schema, run, exported: review.now(), photographs, acts };
  }

  function save() {
    if (!review.acts.all.length) {
      review.panels.toast("There is nothing to export yet.");
      return;
    }
    const text = `${JSON.stringify(content(), null, 1)}\n`;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const initials = review.acts.reviewer.replace(/[^\p{L}\p{N}-]/gu, "");
    link.download = initials ? `review_${initials}.json` : "review.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    review.panels.toast(`Exported as ${link.download}; it is among your downloads.`);
  }

  // Returns the acts of a file, or says what is wrong with it.
  function read(text) {
    let found;
    try {
      found = JSON.parse(text);
    } catch {
      throw new Error("it is no JSON");
    }
    if (found?.schema !== review.data.schema || !Array.isArray(found.acts)) {
      throw new Error("it was not exported by a review page of this version");
    }
    const known = new Map(review.data.photographs.map((one) => [one.name, one]));
    const acts = found.acts.map(review.checkedAct);
    if (acts.includes(null)) throw new Error(`act ${acts.indexOf(null) + 1} is damaged`);
    for (const act of acts) {
      const facts = found.photographs?.[act.photograph];
      const own = known.get(act.photograph);
      if (!own || facts?.class_map_sha256 !== own.class_map_sha256 || facts.image_sha256 !== own.image_sha256) {
        throw new Error(`it reviews another prediction of \u201c${act.photograph}\u201d`);
      }
    }
    return acts;
  }

  async function open(file) {
    if (file.size > 256 * 2 ** 20) {
      review.panels.toast(`${file.name} cannot be read: it is larger than 256 MB.`);
      return;
    }
    try {
      const acts = read(await file.text());
      const ids = new Set(acts.map((act) => act.id));
      const lost = review.acts.all.filter((act) => !ids.has(act.id)).length;
      const question = `Replace what is here by ${file.name}? ${lost} act${lost === 1 ? " that is" : "s that are"} not in it will be gone.`;
      if (lost && !(await review.confirm(question))) return;
      review.acts.replace(acts);
      review.panels.toast(`${acts.length} acts read from ${file.name}.`);
    } catch (error) {
      review.panels.toast(`${file.name} cannot be read: ${error.message}.`);
    }
  }

  return { content, save, open };
})();
