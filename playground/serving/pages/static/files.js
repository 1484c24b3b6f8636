// Files that are opened or dropped: areas, and images, which are shown and predicted in their own pixels.

import { $, showAnswer, showCounts, showObject } from "./panel.js";
import { Pictures } from "./pictures.js";
import { patiently, quiet, say, sayError } from "./status.js";

export class Files {
  constructor(app) {
    this.app = app;
    this.pictures = new Pictures($("pictures"));
    const pick = (button, input, use) => {
      $(button).addEventListener("click", () => $(input).click());
      $(input).addEventListener("change", () => {
        const file = $(input).files[0];
        $(input).value = "";
        if (file) use(file);
      });
    };
    pick("upload", "file", (file) => this.open(file));
    const two = {};
    for (const which of ["before", "after"]) {
      pick(which, `${which}-file`, (file) => {
        two[which] = file;
        $(which).textContent = `${which === "before" ? "Before" : "After"} ✓`;
        if (two.before && two.after) this.compare(two.before, two.after);
      });
    }
    const over = (shown) => (event) => {
      event.preventDefault();
      $("drop").hidden = !shown;
    };
    document.addEventListener("dragover", over(true));
    document.addEventListener("dragleave", over(false));
    document.addEventListener("drop", (event) => {
      over(false)(event);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length === 2 && this.app.facts.images[1] >= 2) this.compare(...files);
      else if (files.length) this.open(files[0]);
    });
  }

  /** A file that was dropped or chosen: an area, or an image to predict. */
  async open(file) {
    if (/json$/i.test(file.name) || /json$/.test(file.type)) {
      try {
        this.app.area.take(JSON.parse(await file.text()), true);
      } catch (error) {
        say("error", `${file.name} cannot be used: ${error.message}`, "give a GeoJSON file with polygons");
      }
    } else if (this.app.facts.images[0] >= 2) say("error", "This predictor compares two images", "choose the one before and the one after");
    else await this.show(() => this.pictures.predict(file), { image: file.name });
  }

  compare(before, after) {
    const { resolution } = this.app.facts;
    return this.show(() => this.pictures.compare(before, after, resolution), { images: [before.name, after.name], resolution });
  }

  /** @param asked the names of the images, for requests to take along. */
  async show(work, asked) {
    say("wait", "Predicting the image…");
    this.app.results.choose(null);
    try {
      const answer = await patiently(work);
      const results = this.app.makeResults(this.pictures.results);
      this.app.asked = asked;
      results.add(answer.prediction.features);
      showAnswer(answer.timing, answer.report);
      if (answer.prediction.features.length) quiet();
      else say("good", "Nothing found here", "the image was predicted, and nothing is on it", 6);
    } catch (error) {
      if (!this.pictures.results) this.pictures.close();
      sayError(error);
    }
    const shown = Boolean(this.pictures.map);
    $("map").hidden = shown;
    $("leave").hidden = !shown;
    $("ask").classList.toggle("picture", shown);
    $("compare").hidden = !(shown && asked.images);
  }

  leave() {
    this.pictures.close();
    $("map").hidden = false;
    $("leave").hidden = $("compare").hidden = true;
    $("ask").classList.remove("picture");
    this.app.asked = this.app.lastTile;
    this.app.map.invalidateSize();
    showObject(null);
    showAnswer(null, null);
    showCounts(this.app.results, this.app.asked !== null);
    quiet();
  }
}
